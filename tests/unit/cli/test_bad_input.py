"""Every kind of bad request, by client and by command line: its exact sentence, and nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from scheduler import SessionSpec
from scheduler.bootstrap import open_store
from scheduler.domain import moves as m
from scheduler.domain.errors import IdempotencyConflict, SchedulerError
from scheduler.domain.states import SessionState as S
from scheduler.operations.submission import submit_sessions
from scheduler.settings import load
from tests.unit.cli.bad_requests import SPECS, WORDS
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import GROUP, NOBODY, World, contents


@pytest.fixture
def taken(world: World) -> str:
    """A session that has the key `taken`, in a group whose largest agent is known."""
    world.apply(m.Reach(GROUP, '[{"cpu":8000,"mem":1024}]', "", ""))
    return str(
        world.sessions.submit([SessionSpec(callable="jobs:other", idempotency_key="taken")])[0]
    )


def _name(part: object) -> str | None:
    if isinstance(part, dict | list):
        return "".join(c if c.isalnum() else "-" for c in ascii(part)[:60]).strip("-")
    return ""


def _filled(says: str, taken: str) -> str:
    return says.replace("{taken}", taken).replace("{nobody}", NOBODY)


@pytest.mark.parametrize(("asked", "error", "says"), SPECS, ids=_name)
def test_a_client_is_told_and_nothing_is_written(
    world: World, taken: str, asked: dict[str, Any], error: type[SchedulerError], says: str
) -> None:
    """K20."""
    store = open_store(load(namespace=world.keys.root), world.client)
    before = contents(world.client)

    with pytest.raises(error) as told:
        submit_sessions(store, [SessionSpec(**{"callable": "jobs:noop", **asked})])

    assert _filled(says, taken) == str(told.value)
    assert before == contents(world.client)


@pytest.mark.parametrize(("words", "code", "says"), WORDS, ids=_name)
def test_a_command_says_it_and_nothing_is_written(  # noqa: PLR0913 - a row has three
    world: World, run: Run, taken: str, words: Sequence[str], code: int, says: str
) -> None:
    """K20."""
    before = contents(world.client)

    said = run(*words)

    assert (code, "", f"{_filled(says, taken)}\n") == (said.code, said.out, said.err)
    assert before == contents(world.client)


def test_a_session_cannot_wait_for_itself(world: World) -> None:
    """Its id is minted with the submit; a key can name it before, and then it is another spec."""
    asked: dict[str, Any] = {"callable": "jobs:noop", "idempotency_key": "me"}
    (me,) = world.sessions.submit([SessionSpec(**asked)])
    before = contents(world.client)

    with pytest.raises(IdempotencyConflict, match=me):
        world.sessions.submit([SessionSpec(**asked, depends_on=[me])])

    assert before == contents(world.client)


def test_what_nobody_has_yet_is_accepted_where_the_group_has_no_agent_or_grows(
    world: World, run: Run
) -> None:
    """And why it waits is explained."""
    for group, options in (("empty", {}), ("growing", {"grows": True})):
        world.groups.configure(group, options)
        world.lead(group)
        session = run("session", "submit", "--group", group, "--slots", "cpu=512", "true").out

        assert S.READY is world.state(session.strip())
        assert 0 == run("session", "explain", session.strip()).code


def test_an_option_that_is_none_is_python_s_own_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'priorty'"):
        SessionSpec(callable="jobs:noop", priorty=5)  # type: ignore[call-arg]
