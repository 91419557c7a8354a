"""Commands on a session whose record makes no sense: one sentence, and the others are shown."""

from __future__ import annotations

import pytest

from scheduler.domain import moves as m
from scheduler.domain.states import SessionState as S
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import GROUP, OTHER, World

SPOILT = {
    "state": "banana",
    "group": "no:name",
    "priority": "abc",
    "seq": "x",
    "attempt": "one",
    "unmet": "x",
    "submitted_at": "yesterday",
    "kernels": "x",
    "kernel:0:slots": "[1",
    "kernel:0:state": "banana",
    "history:1": "{",
}


@pytest.mark.parametrize("field", SPOILT)
def test_it_is_shown_with_a_sentence_and_listed_with_the_others(
    world: World, run: Run, field: str
) -> None:
    """K20."""
    spoilt, well = world.into(S.RUNNING), world.into(S.RUNNING)
    world.client.hset(world.keys.session(spoilt), field, SPOILT[field])
    says = f"its record in Redis makes no sense ({field})"

    listed, shown = run("session", "list"), run("session", "show", spoilt)

    assert (0, "") == (listed.code, listed.err)
    assert {spoilt, well} <= {row[0] for row in listed.rows}
    assert 1 == listed.out.count(says)
    assert (0, f"Of session {spoilt} {says}; shown is what can be read.\n") == (
        shown.code,
        shown.err,
    )
    document = run("session", "show", spoilt, "-o", "json").json
    assert [field] == document["unreadable"]
    assert run("session", "explain", spoilt).code == 0
    assert f"{spoilt} has a spoilt record ({field}); cancel it" in run("doctor").out


def test_waiting_for_one_that_stands_nowhere_is_not_for_ever(world: World, run: Run) -> None:
    session = world.submit()
    world.client.hset(world.keys.session(session), "state", "banana")

    waited = run("session", "wait", session)

    says = f"Session {session} ended FAILED: its record in Redis makes no sense (state).\n"
    assert (1, says) == (waited.code, waited.err)


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_what_cannot_be_done_to_it_is_said(world: World, run: Run, verb: str) -> None:
    session = world.submit() if verb == "cancel" else world.into(S.FAILED)
    world.client.hdel(world.keys.session(session), "group")

    said = run("session", verb, session)

    says = "its record in Redis makes no sense (group); somebody else has written there"
    assert (4, f"Session {session} cannot be read: {says}.\n") == (said.code, said.err)


@pytest.mark.parametrize("field", ["priority", "attempt", "unmet"])
def test_it_can_be_cancelled(world: World, run: Run, field: str) -> None:
    session = world.submit()
    world.client.hset(world.keys.session(session), field, "x")

    said = run("session", "cancel", session)

    assert (0, f"{session}  cancelled\n") == (said.code, said.out)
    assert S.CANCELLED is world.state(session)


def test_a_result_that_is_no_json_is_said(world: World, run: Run) -> None:
    session = world.into(S.SUCCEEDED)
    world.client.set(world.keys.result(session), "{")

    said = run("session", "show", session)

    assert (4, 1) == (said.code, said.err.count("\n"))
    assert "its result is no JSON" in said.err


def test_a_result_that_is_no_text_is_said(world: World, run: Run) -> None:
    session = world.into(S.SUCCEEDED)
    world.client.rpush(world.keys.result(session), "1")

    said = run("session", "show", session)

    assert (4, 1) == (said.code, said.err.count("\n"))
    assert "its result is no text; somebody else has written there" in said.err


def test_a_move_that_breaks_does_not_stop_those_beside_it(world: World) -> None:
    """Nothing but its own word tells; what else happened is written, and numbered without a hole."""
    spoilt, well = world.submit(), world.submit()
    world.client.hdel(world.keys.session(spoilt), "group")

    words = world.apply(
        m.Settle(spoilt, GROUP, "refuse", "no"),
        m.Up(spoilt, OTHER, 0, 1, 0),
        m.Settle(well, GROUP, "refuse", "no"),
    )

    assert ["stale", "gone", "done"] == words
    assert S.FAILED is world.state(well)


def test_the_word_of_a_move_that_breaks_is_its_error(world: World) -> None:
    spoilt, well = world.into(S.RUNNING), world.submit()
    placement = world.get(spoilt).placement
    world.kernels_over(spoilt)
    world.client.hdel(world.keys.session(spoilt), "group")

    broke, done = world.apply(
        m.Finish(spoilt, placement, "end", "FAILED", "", "", "", 0, 0, 0),
        m.Settle(well, GROUP, "refuse", "no"),
    )

    assert broke.startswith("spoilt ")
    assert "concatenate" in broke
    assert "done" == done
