"""One claim of many orders: what was there is taken and numbered, what was not is marked."""

from __future__ import annotations

from scheduler.protocol.report import BODY, CLAIM, MAC
from scheduler.store import streams
from tests.unit.store.lives import NOBODY, OTHER, S, World, order_id


def claims_told(world: World) -> list[dict[str, str]]:
    """What stands in the reports' stream."""
    entries = streams.entries(world.client.xrange(world.keys.reports("default")))
    return [dict(entry.fields) for entry in entries]


def test_what_is_there_is_numbered_and_what_is_not_is_marked(world: World) -> None:
    """K14: of a withdrawal and a claim exactly one happens."""
    first, second, third = [order_id(world.get(world.into(S.SCHEDULED))) for _ in range(3)]
    world.client.hdel(world.keys.orders("a1"), second)
    wanted = [first, f"{NOBODY}-0-{OTHER}", second, third]

    taken = world.mailbox().claim(world.boots["a1"], wanted, {"body": "said", "mac": "0"})

    assert [(first, 1), (third, 2)] == [(each.order, each.number) for each in taken]
    assert [{BODY: "said", MAC: "0", CLAIM: "1 - - 2"}] == claims_told(world)
    assert 0 == world.client.exists(*[world.keys.rq_job(order) for order in (first, third)])


def test_a_claim_that_takes_nothing_says_nothing(world: World) -> None:
    order = order_id(world.get(world.into(S.SCHEDULED)))
    asked = world.boots["a1"], [order], {"body": "said", "mac": "0"}
    [taken] = world.mailbox().claim(*asked)

    assert [] == world.mailbox().claim(*asked)

    assert 1 == taken.number
    assert 1 == len(claims_told(world))


def test_claims_are_counted_on_from_the_last(world: World) -> None:
    orders = [order_id(world.get(world.into(S.SCHEDULED))) for _ in range(3)]

    for each in (orders[:2], orders[2:]):
        world.mailbox().claim(world.boots["a1"], each, {"body": "said", "mac": "0"})

    assert ["1 2", "3"] == [said[CLAIM] for said in claims_told(world)]
