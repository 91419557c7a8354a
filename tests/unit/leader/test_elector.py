"""Standing, holding the lock, and how long that can be trusted; clock and lock made by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import redis
from redis_lock import NotAcquired

from scheduler.domain.errors import StoreUnavailable
from scheduler.domain.term import Term
from scheduler.leader import elector as module
from scheduler.leader.elector import Elector, ElectorSettings, Tenure, connection_name
from scheduler.store.leadership import LeadershipRepository

TTL_MS, TTL_S, MARGIN_S = 3_000, 3.0, 0.2


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class World:
    """The lock in Redis, what is stored of the leader, and how Redis behaves."""

    clock: Clock = field(default_factory=Clock)
    holder: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    connections: set[tuple[str, str]] = field(default_factory=set)
    request_takes_s: float = 0.0
    answer_lost: bool = False
    down: bool = False
    clients: list[Client] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    looked_anew: int = 0
    glances: int = 0
    looks: int = 0

    def speak(self) -> None:
        self.clock.seconds += self.request_takes_s
        if self.down:
            raise redis.ConnectionError("down")

    # What the elector asks of the leadership repository

    def leads_still(self, _group: str, nonce: str, client_id: str, name: str) -> bool:
        self.glances += 1
        return self.holder == nonce and (client_id, name) in self.connections

    def show(self, _group: str) -> dict[str, str]:
        self.looks += 1
        return {**self.facts, "lock": self.holder}

    def over(self, _client: Client) -> World:
        return self

    def look_anew(self) -> None:
        self.looked_anew += 1

    def elect(self, group: str, nonce: str, holder: str, connection: str) -> Term | None:
        if self.holder != nonce:
            return None
        self.facts = {"nonce": nonce, "connection": connection, "term": "7", "holder": holder}
        return Term(group, 7, nonce, holder)

    def connection_alive(self, client_id: str, name: str) -> bool:
        return (client_id, name) in self.connections

    def unseat(self, _group: str, nonce: str) -> bool:
        unseated, self.holder = self.holder == nonce, "" if self.holder == nonce else self.holder
        return unseated

    def publish_connection(self, _group: str, _nonce: str, connection: str) -> None:
        self.facts["connection"] = connection

    def resign(self, _term: Term, why: str) -> None:
        self.said.append(why)


@dataclass
class Client:
    """The renewal connection."""

    world: World
    id: int = 11
    closed: bool = False

    def client_id(self) -> int:
        self.world.speak()
        return self.id

    def close(self) -> None:
        self.closed = True

    @property
    def connection_pool(self) -> Any:
        return redis.ConnectionPool()


class Lock:
    """python-redis-lock as far as it is used."""

    def __init__(self, client: Client, _name: str, *, expire: int, id: str) -> None:  # noqa: A002 - its word
        assert TTL_S == expire
        self._world, self._id = client.world, id

    def acquire(self, *, blocking: bool) -> bool:
        assert not blocking
        self._world.speak()
        if self._world.holder:
            return False
        self._world.holder = self._id
        return not self._world.answer_lost

    def get_owner_id(self) -> str:
        return self._world.holder

    def extend(self) -> None:
        self._world.speak()
        if self._world.holder != self._id:
            raise NotAcquired

    def release(self) -> None:
        self._world.speak()
        if self._world.holder != self._id:
            raise NotAcquired
        self._world.holder = ""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def connect(*_: Any, **__: Any) -> Client:
        made.clients.append(Client(made))
        return made.clients[-1]

    monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr(module, "Lock", Lock)
    return made


@pytest.fixture
def elector(world: World) -> Elector:
    settings = ElectorSettings("redis://", "ns", "r1", TTL_MS)
    return Elector("default", settings, cast("LeadershipRepository", world), world.clock)


def elected(elector: Elector) -> Tenure:
    tenure = elector.stand()
    assert tenure is not None
    return tenure


def until(world: World, tenure: Tenure) -> float:
    """How many seconds from now it is trusted."""
    left = round(tenure._trusted_until - world.clock.seconds, 3)
    world.clock.seconds += left - 0.01
    just_before = tenure.trusted()
    world.clock.seconds += 0.02
    assert (True, False) == (just_before, tenure.trusted())
    return left


def test_a_leader_that_was_found_alive_is_only_glanced_at(world: World, elector: Elector) -> None:
    """Until the glance does not find it: then it is looked for properly, twice."""
    world.holder = "other"
    world.facts = {"nonce": "other", "connection": "5", "holder": "r2", "term": "3"}
    world.connections = {("5", connection_name("other"))}

    assert [None] * 4 == [elector.stand() for _ in range(4)]
    assert (1, 3) == (world.looks, world.glances)

    world.connections.clear()

    assert elector.stand() is None
    assert elector.stand() is not None
    assert (3, 4) == (world.looks, world.glances)


def test_a_free_leadership_is_taken(world: World, elector: Elector) -> None:
    """D1, W10."""
    tenure = elected(elector)

    assert (7, world.holder, True) == (tenure.term.number, tenure.term.nonce, tenure.trusted())


def test_a_leadership_that_is_held_is_left_alone(world: World, elector: Elector) -> None:
    world.holder, world.facts = "other", {"nonce": "other", "connection": "5"}
    world.connections = {("5", connection_name("other"))}

    assert [None, None, None] == [elector.stand() for _ in range(3)]


def test_who_finds_the_lock_held_where_it_looked_free_looks_at_another_server(
    world: World, elector: Elector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower's view may still be the old primary's, while each term asks the Sentinels anew."""
    world.holder = "somebody"
    monkeypatch.setattr(World, "show", lambda *_: {"lock": ""})

    assert None is elector.stand()
    assert 1 == world.looked_anew


def test_every_term_has_a_nonce_of_its_own(elector: Elector) -> None:
    nonces = []
    for _ in range(3):
        nonces.append(elected(elector).term.nonce)
        elector.resign("test")

    assert (3, {32}) == (len(set(nonces)), {len(nonce) for nonce in nonces})


def test_trust_counts_from_before_the_request(world: World, elector: Elector) -> None:
    """X1: a slow answer must not lengthen the lease."""
    world.request_takes_s = 0.5

    tenure = elected(elector)

    # Acquiring and asking for the connection took a second of it.
    assert round(TTL_S - MARGIN_S - 1.0, 1) == until(world, tenure)


def test_renewing_extends_the_trust_from_before_its_request(world: World, elector: Elector) -> None:
    tenure = elected(elector)
    world.clock.seconds += 2.0
    world.request_takes_s = 0.4

    tenure.renew(TTL_S)

    assert round(TTL_S - MARGIN_S - 0.4, 1) == until(world, tenure)


def test_a_lost_answer_of_acquiring_is_found_by_looking_at_the_owner(
    world: World, elector: Elector
) -> None:
    """The trap of python-redis-lock: it says False although the key is ours."""
    world.answer_lost = True

    assert elected(elector).trusted()


def test_who_lost_the_race_closes_its_connection(
    world: World, elector: Elector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lock, "acquire", lambda *_, **__: False)

    assert (None, [True]) == (elector.stand(), [client.closed for client in world.clients])


def test_who_holds_the_lock_no_more_when_it_is_elected_does_not_lead(
    world: World, elector: Elector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "elect", lambda *_: None)

    assert (None, [True]) == (elector.stand(), [client.closed for client in world.clients])


def test_a_redis_that_goes_down_while_standing_leaves_no_connection(
    world: World, elector: Elector
) -> None:
    world.down = True

    with pytest.raises(StoreUnavailable):
        elector.stand()

    assert [True] == [client.closed for client in world.clients]


def test_a_renewal_without_answer_neither_ends_nor_extends_the_trust(
    world: World, elector: Elector
) -> None:
    tenure = elected(elector)
    world.clock.seconds += 1.0
    world.down = True

    elector.renew()

    assert (False, round(TTL_S - MARGIN_S - 1.0, 1)) == (tenure.over, until(world, tenure))


def test_a_lock_that_is_not_ours_any_more_ends_the_tenure(world: World, elector: Elector) -> None:
    tenure = elected(elector)
    world.holder = "other"

    elector.renew()

    assert (True, False) == (tenure.over, tenure.trusted())


def test_a_deposed_leader_does_not_take_the_lock_from_its_successor(
    world: World, elector: Elector
) -> None:
    elected(elector)
    world.holder = "other"

    elector.resign("deposed")

    assert ("other", None) == (world.holder, elector.tenure)


def test_a_connection_that_changed_is_published_anew(world: World, elector: Elector) -> None:
    """Ids begin again with every start of Redis."""
    elected(elector)
    world.clients[0].id = 99

    elector.renew()

    assert "99" == world.facts["connection"]


def test_a_clean_end_is_told_and_gives_the_lock_back(world: World, elector: Elector) -> None:
    tenure = elected(elector)

    elector.resign("stopped")
    elector.resign("twice")

    assert (["stopped"], "", True, True) == (
        world.said,
        world.holder,
        tenure.over,
        world.clients[0].closed,
    )


def test_an_end_that_redis_does_not_hear_ends_all_the_same(world: World, elector: Elector) -> None:
    tenure = elected(elector)
    world.down = True

    elector.resign("stopped")

    assert (True, None, True) == (tenure.over, elector.tenure, world.clients[0].closed)


def test_who_does_not_lead_has_nothing_to_renew(world: World, elector: Elector) -> None:
    elector.renew()

    assert [] == world.clients


def test_a_leader_whose_connection_is_missing_in_two_looks_is_unseated(
    world: World, elector: Elector
) -> None:
    """X2."""
    world.holder, world.facts = "dead", {"nonce": "dead", "connection": "5"}

    first, second = elector.stand(), elector.stand()

    assert (None, True) == (first, second is not None)


def test_a_connection_that_is_back_in_between_starts_the_count_anew(
    world: World, elector: Elector
) -> None:
    world.holder, world.facts = "alive", {"nonce": "alive", "connection": "5"}
    looks = []
    for there in (False, True, False):
        world.connections = {("5", connection_name("alive"))} if there else set()
        looks.append(elector.stand())

    assert ([None] * 3, "alive") == (looks, world.holder)


@pytest.mark.parametrize("facts", [{"nonce": "before", "connection": "5"}, {"nonce": "held"}, {}])
def test_a_holder_that_published_no_connection_is_waited_for(
    world: World, elector: Elector, facts: dict[str, str]
) -> None:
    """Between lock and election, or behind a proxy, only the TTL applies."""
    world.holder, world.facts = "held", facts

    assert ([None] * 3, "held") == ([elector.stand() for _ in range(3)], world.holder)


def test_a_lock_that_changed_hands_meanwhile_is_not_deleted(
    world: World, elector: Elector, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.holder, world.facts = "dead", {"nonce": "dead", "connection": "5"}
    monkeypatch.setattr(World, "unseat", lambda *_: False)

    assert [None, None] == [elector.stand(), elector.stand()]
