"""``scheduler session submit``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from scheduler.domain.states import SessionState as S
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import NOBODY, World, order_id


def test_a_command_is_submitted_as_it_stands(world: World, run: Run) -> None:
    said = run("session", "submit", "--", "python", "job.py", "--name", "not ours")
    session = said.out.strip()

    assert (0, "") == (said.code, said.err)
    assert {"command": ["python", "job.py", "--name", "not ours"]} == world.sessions.payload(
        session
    )


def test_options_end_with_the_command(world: World, run: Run) -> None:
    said = run("session", "submit", "--name", "listing", "ls", "-l")
    session = said.out.strip()

    assert {"command": ["ls", "-l"]} == world.sessions.payload(session)
    assert "listing" == world.get(session).name


def test_a_callable_takes_json(world: World, run: Run) -> None:
    said = run(
        *("session", "submit", "--callable", "jobs:add", "--args", "[1, 2]"),
        *("--kwargs", '{"c": null}', "--env", "A=b=c", "-o", "json"),
    )
    payload = world.sessions.payload(said.json["id"])

    assert "READY" == said.json["state"]
    assert {
        "env": {"A": "b=c"},
        "callable": "jobs:add",
        "args": [1, 2],
        "kwargs": {"c": None},
    } == payload


def test_every_option_reaches_the_session(world: World, run: Run) -> None:
    parent = world.submit()
    said = run(
        *("session", "submit", "--slots", "cpu=2,mem=1GiB", "--priority", "20", "--keypair", "k1"),
        *("--depends-on", parent, "--timeout", "90s", "--retries", "3", "--on-lost", "fail"),
        *("--cluster-size", "2", "--idempotency-key", "key"),
        *("--done-pattern", "saved .*", "--silence-timeout", "5m", "true"),
    )
    data = world.get(said.out.strip())

    assert (20, 1, "key") == (data.priority, data.unmet, data.idempotency_key)
    assert ({"cpu": 2000, "mem": 1024},) * 2 == data.request.kernels
    assert (("global", "global"), ("keypair", "k1")) == data.request.scopes
    assert (90_000, 3, "fail") == (
        data.request.timeout_ms,
        data.request.retries,
        data.request.on_lost,
    )
    assert ("saved .*", 300_000) == (data.request.done_pattern, data.request.silence_ms)


def test_a_repeat_with_its_key_answers_the_same_session(world: World, run: Run) -> None:
    _ = world
    words = ("session", "submit", "--idempotency-key", "key", "true")

    assert run(*words).out == run(*words).out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2100-01-01T09:00:00+09:00", datetime.fromisoformat("2100-01-01T00:00:00Z")),
        ("2100-01-01T00:00:00Z", datetime.fromisoformat("2100-01-01T00:00:00Z")),
    ],
)
def test_a_start_time_has_a_zone(world: World, run: Run, text: str, expected: datetime) -> None:
    session = run("session", "submit", "--not-before", text, "true").out.strip()

    assert int(expected.timestamp() * 1000) == world.get(session).not_before


def test_a_start_time_may_be_told_from_now(world: World, run: Run) -> None:
    session = run("session", "submit", "--not-before", "+10m", "true").out.strip()
    data = world.get(session)
    waits = timedelta(milliseconds=(data.not_before or 0) - data.submitted_at)

    assert timedelta(minutes=9) < waits < timedelta(minutes=11)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "give either a callable or a command"),
        (["--callable", "a:b", "true"], 2, "give either a callable or a command"),
        (["--callable", "nonsense"], 2, "not of the form package.module:function"),
        (["--callable", "a:b", "--args", "{}"], 2, "not of the form [1, 2]"),
        (["--callable", "a:b", "--args", "[1"], 2, "is not JSON"),
        (["--args", "[1]", "true"], 2, "args and kwargs are for callables"),
        (["--slots", "cpu", "true"], 2, "expected NAME=AMOUNT"),
        (["--slots", "cpu=0", "true"], 2, "must be more than zero"),
        (["--slots", "gpu=1", "true"], 2, "is unknown"),
        (["--priority", "101", "true"], 2, "priority must be between 0 and 100"),
        (["--priority", "high", "true"], 2, "not a valid integer"),
        (["--timeout", "soon", "true"], 2, "timeout must be a duration such as 30s"),
        (["--not-before", "tomorrow", "true"], 2, "is no time"),
        (["--not-before", "2026-11-21T09:00:00", "true"], 2, "needs a time zone"),
        (["--not-before", "+x", "true"], 2, "it must be a duration such as 30s"),
        (["--env", "A", "true"], 2, "not of the form NAME=VALUE"),
        (["--env", "1=2", "true"], 2, "'1' is no name"),
        (["--on-lost", "hope", "true"], 2, "'hope' is not one of"),
        (["--group", "no such", "true"], 2, "is no name"),
        (["--group", "nosuch", "true"], 3, "Scaling group 'nosuch' does not exist"),
        (["--depends-on", "x", "true"], 2, "is no session id"),
        (["--depends-on", NOBODY, "true"], 3, f"it depends on {NOBODY}"),
        (["--nonsense", "true"], 2, "No such option"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_nothing_is_written(
    world: World, run: Run, words: list[str], code: int, says: str
) -> None:
    said = run("session", "submit", *words)

    assert (code, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert says in said.err
    assert 0 == sum(world.sessions.counts("default").values())


def test_what_no_agent_could_ever_hold_is_refused(world: World, run: Run) -> None:
    world.admit("a2", reachable='[{"cpu":1000}]')

    said = run("session", "submit", "--slots", "cpu=512", "true")

    assert (4, "") == (said.code, said.out)
    assert "it asks for cpu=512, and no agent of group 'default' has that" in said.err


def test_a_key_of_another_spec_is_refused(world: World, run: Run) -> None:
    _ = world
    run("session", "submit", "--idempotency-key", "key", "true")

    said = run("session", "submit", "--idempotency-key", "key", "false")

    assert (4, "") == (said.code, said.out)


def _meanwhile(world: World, act: Callable[[str], object]) -> threading.Thread:
    """Do something to the one session once it is there, as leader and agent would."""

    def watch() -> None:
        while not (found := world.leader.ready_page(None, 1)):
            threading.Event().wait(0.01)
        act(found[0][0])

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def _live(world: World, target: S, text: str = "", result: str = "") -> Callable[[str], None]:
    def act(session: str) -> None:
        world.place(session)
        world.start(session)
        if text:
            order = order_id(world.get(session))
            world.mailbox().log(order, "stdout", text, cap=1_000, ttl_s=60)
        if result:
            world.client.set(world.keys.result(session), result)
        world.kernels_over(session)
        world.finish(session, target)

    return act


def test_waiting_for_a_command_prints_what_it_prints(world: World, run: Run) -> None:
    leader = _meanwhile(world, _live(world, S.SUCCEEDED, "hello\n"))

    said = run("session", "submit", "--wait", "echo", "hello")
    leader.join()

    assert (0, "hello\n") == (said.code, said.out)
    assert world.leadership.show("default")["lock"]


def test_waiting_for_a_callable_prints_its_result(world: World, run: Run) -> None:
    leader = _meanwhile(world, _live(world, S.SUCCEEDED, result='{"a":[1]}'))

    said = run("session", "submit", "--wait", "--callable", "jobs:noop")
    leader.join()

    assert (0, '{"a":[1]}\n') == (said.code, said.out)


def test_waiting_for_a_failure_exits_1(world: World, run: Run) -> None:
    leader = _meanwhile(world, _live(world, S.FAILED, "oops\n"))

    said = run("session", "submit", "--wait", "-o", "json", "false")
    leader.join()

    assert (1, "FAILED", "oops\n") == (said.code, said.json["state"], said.json["log"])
    assert said.err.startswith(f"Session {said.json['id']} ended FAILED")


def test_waiting_for_what_is_cancelled_before_it_ran(world: World, run: Run) -> None:
    leader = _meanwhile(world, world.sessions.cancel)

    said = run("session", "submit", "--wait", "true")
    leader.join()

    assert (1, "") == (said.code, said.out)
    assert "ended CANCELLED: cancelled by its owner.\n" in said.err


def test_where_it_may_run_reaches_the_session_and_is_shown(world: World, run: Run) -> None:
    """K4, K10."""
    said = run(
        *("session", "submit", "--cluster-mode", "multi-node", "--kernel", "cpu=2"),
        *("--kernel", "cpu=1", "--kernel", "cpu=1", "--label", "zone=a|b"),
        *("--label", "cuda.model=T4", "--prefer-label", "disk=ssd", "--architecture", "x86_64"),
        *("--prefer-agent", "a1", "--prefer-agent", "a9", "--endpoint", "web", "true"),
    )
    session = said.out.strip()
    request = world.get(session).request
    table, document = run("session", "show", session), run("session", "show", session, "-o", "json")

    assert ("multi-node", [2000, 1000, 1000]) == (
        request.cluster_mode,
        [kernel["cpu"] for kernel in request.kernels],
    )
    assert {
        "labels": {"cuda.model": "T4", "zone": "a|b"},
        "preferred_labels": {"disk": "ssd"},
        "architecture": "x86_64",
        "agents": ["a1", "a9"],
        "agents_strict": False,
        "endpoint": "web",
    } == document.json["request"]["constraints"]
    for told in ("1 x cpu=2; 2 x cpu=1", "multi-node", "label zone=a|b", "rather a1 or a9"):
        assert told in table.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--agent", "a1", "--prefer-agent", "a1"], 2, "give --agent or --prefer-agent, not both"),
        (["--label", "zone=a", "--label", "zone=b"], 2, "label zone is given twice; write zone=a"),
        (["--label", "zone"], 2, "'zone' is not of the form NAME=VALUE"),
        (["--label", "zone=a\n"], 2, "no control characters"),
        (["--kernel", "cpu=1", "--slots", "cpu=1"], 2, "give either kernels, each with its slots"),
        (["--kernel", "cpus=1"], 2, "slot 'cpus' is unknown"),
        (["--cluster-mode", "ring"], 2, "no cluster mode named 'ring'; installed are: multi-node"),
        (["--cluster-size", "1001"], 2, "between 1 and 1000"),
        (["--agent", "a9"], 3, "group 'default' has no agent a9, where it is to run; known are:"),
    ],
)
def test_a_wish_that_makes_no_sense_is_one_sentence_and_nothing_is_written(
    world: World, run: Run, words: list[str], code: int, says: str
) -> None:
    """K4, K10, K20."""
    said = run("session", "submit", *words, "true")

    assert (code, True) == (said.code, says in said.err)
    assert 0 == sum(world.sessions.counts("default").values())
