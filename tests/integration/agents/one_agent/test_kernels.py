"""Kernels of a real agent: what they get, what they give, how they end."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from agents import facts
from tests.integration.agents.stage import WORK, AgentProcess, Leader, wait_for

pytestmark = pytest.mark.integration


def test_a_callable_returns_its_result(leader: Leader) -> None:
    order = leader.start({"callable": "work:add", "args": [1, 2], "kwargs": {"plus": 4}})

    ended = leader.end(order)

    assert ("exited", 0, "7") == (ended.reason, ended.exit_code, ended.result)
    assert ["claimed", "up", "ended"] == [str(said.kind) for said in leader.said_of(order)]


def test_only_the_main_kernel_returns_a_result(leader: Leader) -> None:
    ended = leader.run({"callable": "work:add", "args": [1, 2], "kwargs": {}}, kernel=1)

    assert ("exited", None) == (ended.reason, ended.result)


def test_a_command_runs_in_its_scratch_directory(leader: Leader) -> None:
    order = leader.start({"command": ["sh", "-c", "pwd; echo $SESSION_SCRATCH; exit 3"]})

    ended = leader.end(order)
    first, second = leader.log(order).split()

    assert ("exited", 3) == (ended.reason, ended.exit_code)
    assert first == second
    assert not Path(first).exists()
    assert ["claimed", "up", "ended"] == [str(said.kind) for said in leader.said_of(order)]


def test_a_kernel_knows_who_it_is(leader: Leader) -> None:
    order = leader.start(
        {"command": ["env"], "env": {"COLOUR": "red", "SESSION_ID": "forged"}},
        slots={"cpu": 1000, "cuda.0": 1000, "cuda.3": 460},
        hosts=["10.0.0.1", "10.0.0.2"],
        kernel=1,
        name="nightly",
    )
    leader.end(order)
    found = dict(line.split("=", 1) for line in leader.log(order).splitlines())

    expected = {
        "SESSION_ID": order.split("-")[0],
        "SESSION_ATTEMPT": "1",
        "SESSION_GROUP": "default",
        "SESSION_NAME": "nightly",
        "SESSION_DEVICES": "cuda.0,cuda.3",
        "CUDA_VISIBLE_DEVICES": "0,3",
        "CLUSTER_SIZE": "2",
        "CLUSTER_RANK": "1",
        "CLUSTER_ROLE": "sub",
        "CLUSTER_HOSTS": "10.0.0.1,10.0.0.2",
        "COLOUR": "red",
    }
    assert expected == {name: found.get(name) for name in expected}
    assert not [name for name in found if "SECRET" in name or "REDIS" in name]


def test_output_is_kept_by_stream_before_the_end_is_told(leader: Leader) -> None:
    order = leader.start({"callable": "work:say", "args": ["grüße"], "kwargs": {}})
    leader.end(order)

    assert ("grüße\n", "grüße\n") == (leader.log(order), leader.log(order, "stderr"))


def test_an_exception_is_told_with_its_traceback(leader: Leader) -> None:
    ended = leader.run({"callable": "work:fail", "args": ["no luck"], "kwargs": {}})

    assert ("raised", 1) == (ended.reason, ended.exit_code)
    assert "work.py" in ended.error
    assert ended.error.endswith("ValueError: no luck\n")
    assert "executors" not in ended.error


@pytest.mark.parametrize(("code", "told"), [(None, 0), (0, 0), (7, 7), ("bye", 1)])
def test_sys_exit_is_an_exit(leader: Leader, code: object, told: int) -> None:
    ended = leader.run({"callable": "work:leave", "args": [code], "kwargs": {}})

    assert ("exited", told) == (ended.reason, ended.exit_code)


def test_who_ends_the_process_before_it_returned_has_not_succeeded(leader: Leader) -> None:
    """os._exit, or a C library that calls exit: nobody meant that as a result."""
    gone, failed = (
        leader.run({"callable": "work:be_gone", "args": [code], "kwargs": {}}) for code in (0, 3)
    )

    says = "It ended its process with code 0 before it returned, so there is no result."
    assert ("bad_result", 0, says) == (gone.reason, gone.exit_code, gone.error)
    assert ("exited", 3) == (failed.reason, failed.exit_code)


@pytest.mark.parametrize(
    "payload",
    [
        {"callable": "work:missing", "args": [], "kwargs": {}},
        {"callable": "work.missing:f", "args": [], "kwargs": {}},
        {"command": ["no-such-program"]},
    ],
)
def test_what_does_not_exist_is_named(leader: Leader, payload: dict[str, object]) -> None:
    ended = leader.run(payload)

    assert "not_found" == ended.reason
    assert "missing" in ended.error or "no-such-program" in ended.error


def test_what_is_not_allowed_never_starts(leader: Leader) -> None:
    order = leader.start({"callable": "os:system", "args": ["true"], "kwargs": {}})

    assert "not_allowed" == leader.end(order).reason
    assert ["claimed", "ended"] == [str(said.kind) for said in leader.said_of(order)]


@pytest.mark.parametrize(
    ("callable_", "args", "says"),
    [("not_json", [], "not JSON"), ("large", [2**20], "the limit is")],
)
def test_a_result_must_be_json_of_a_mebibyte(
    leader: Leader, callable_: str, args: list[int], says: str
) -> None:
    ended = leader.run({"callable": f"work:{callable_}", "args": args, "kwargs": {}})

    assert "bad_result" == ended.reason
    assert says in ended.error


def test_a_large_result_and_a_large_payload_pass(leader: Leader) -> None:
    ended = leader.run({"callable": "work:large", "args": [2**20 - 2], "kwargs": {}})
    command = leader.start({"command": ["printf", "%s", "x" * 100_000]})

    assert 2**20 == len(ended.result or "")
    assert 0 == leader.end(command).exit_code
    assert 100_000 == len(leader.log(command))


@pytest.mark.parametrize("payload", [{"callable": "work:die", "args": [9], "kwargs": {}}, None])
def test_a_signal_from_elsewhere_is_told(leader: Leader, payload: dict[str, object] | None) -> None:
    ended = leader.run(payload or {"command": ["sh", "-c", "kill -9 $$"]})

    assert ("killed", None, 9) == (ended.reason, ended.exit_code, ended.signal)


def test_a_deadline_ends_a_kernel(leader: Leader) -> None:
    orders = [
        leader.start({"callable": "work:wait", "args": [], "kwargs": {}}, timeout_ms=300),
        leader.start({"command": ["sleep", "1000"]}, timeout_ms=300),
    ]

    assert ["timed_out", "timed_out"] == [leader.end(order).reason for order in orders]


def test_a_stop_order_ends_a_kernel(leader: Leader) -> None:
    orders = [
        leader.start({"callable": "work:wait", "args": [], "kwargs": {}}),
        leader.start({"command": ["sleep", "1000"]}),
    ]
    for order in orders:
        leader.up(order)
        leader.stop(order)

    assert ["stopped", "stopped"] == [leader.end(order).reason for order in orders]


def test_a_stop_order_for_what_never_came_is_answered(leader: Leader) -> None:
    order, _ = leader.order({"command": ["true"]})
    leader.stop(order.id)

    assert "stopped" == leader.end(order.id).reason


@pytest.mark.parametrize("kind", ["callable", "command"])
def test_a_stubborn_family_is_dead_before_the_end_is_told(
    leader: Leader, tmp_path: Path, kind: str
) -> None:
    family = tmp_path / "family"
    code = f"import sys; sys.path[0] = {str(WORK)!r}; import work; work.stubborn({str(family)!r})"
    payload: dict[str, dict[str, object]] = {
        "callable": {"callable": "work:stubborn", "args": [str(family)], "kwargs": {}},
        "command": {"command": [sys.executable, "-c", code]},
    }
    order = leader.start(payload[kind])
    wait_for(lambda: family.exists() and 7 == len(family.read_text().splitlines()), "no family")
    leader.stop(order)

    ended = leader.end(order)

    assert ("stopped", 9) == (ended.reason, ended.signal)
    assert [None] * 7 == [facts.look(int(pid)) for pid in family.read_text().splitlines()]


def test_what_a_kernel_leaves_behind_dies_with_it(leader: Leader) -> None:
    ended = leader.run({"callable": "work:child", "args": [], "kwargs": {}})
    command = leader.start({"command": ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]})

    assert ("exited", 0) == (ended.reason, ended.exit_code)
    assert facts.look(int(ended.result or 0)) is None
    assert ("exited", 0) == (leader.end(command).reason, leader.end(command).exit_code)
    assert facts.look(int(leader.log(command))) is None


def test_a_warm_child_is_reused_clean_and_only_within_its_keypair(leader: Leader) -> None:
    def where(keypair: str) -> object:
        return leader.run(
            {"callable": "work:where", "args": [], "kwargs": {}}, keypair=keypair
        ).result

    first = where("k1")
    leader.run({"callable": "work:misbehave", "args": [], "kwargs": {}}, keypair="k1")
    again, other = where("k1"), where("k2")

    assert first == again
    assert first != other


def test_each_callable_finds_its_scratch_directory_empty(leader: Leader) -> None:
    """Although those that run in one child share it."""

    def run(name: str) -> object:
        return leader.run(
            {"callable": f"work:{name}", "args": [], "kwargs": {}}, keypair="k3"
        ).result

    found = [run(name) for name in ("litter", "litter", "replace_scratch", "litter")]

    assert ["[]", "[]", "null", "[]"] == found


@pytest.mark.parametrize("what", ["thread", "child"])
def test_a_warm_child_with_something_left_behind_is_not_reused(leader: Leader, what: str) -> None:
    def where() -> object:
        return leader.run({"callable": "work:where", "args": [], "kwargs": {}}, keypair=what).result

    first = where()
    leader.run({"callable": f"work:{what}", "args": [], "kwargs": {}}, keypair=what)

    assert first != where()


def test_a_kernel_that_closes_its_files_ends(leader: Leader) -> None:
    ended = leader.run({"callable": "work:close_everything", "args": [], "kwargs": {}})

    assert "killed" == ended.reason


def test_a_flood_of_output_is_cut_and_harms_nobody(leader: Leader, agent: AgentProcess) -> None:
    size = 100 * 2**20
    order = leader.start({"callable": "work:flood", "args": [size], "kwargs": {}})
    command = leader.start({"command": ["sh", "-c", f"yes | head -c {size}"]})

    assert [0, 0] == [leader.end(each, within=30.0).exit_code for each in (order, command)]
    assert 900_000 < len(leader.log(order)) <= 2**20
    assert "dropped" in leader.log(order, "cut")
    assert facts.is_alive(agent.pid, facts.look(agent.pid).started)  # type: ignore[union-attr]


def test_more_memory_than_its_slot_ends_a_kernel(leader: Leader) -> None:
    payload = {"callable": "work:hog", "args": [300 * 2**20], "kwargs": {}}

    ended = leader.run(payload, slots={"cpu": 1000, "mem": 128})

    assert "out_of_memory" == ended.reason
    assert "128 MiB" in ended.error


def test_a_kernel_that_ends_by_sigterm_lets_finally_run(leader: Leader, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    order = leader.start({"callable": "work:tidy", "args": [str(marker)], "kwargs": {}})
    wait_for(marker.exists, "it did not start")
    leader.stop(order)

    assert "stopped" == leader.end(order).reason
    assert "tidied" == marker.read_text()


def test_a_command_gets_sigterm_first(leader: Leader) -> None:
    script = 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.05; done'
    order = leader.start({"command": ["sh", "-c", script]})
    wait_for(lambda: "ready" in leader.log(order), "it did not start")
    leader.stop(order)

    ended = leader.end(order)

    assert ("stopped", 0) == (ended.reason, ended.exit_code)
    assert "ready\nbye\n" == leader.log(order)


def test_signals_are_as_a_program_expects(leader: Leader) -> None:
    code = (
        "import signal; print(signal.getsignal(signal.SIGTERM),"
        " signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    order = leader.start({"command": [sys.executable, "-c", code]})
    leader.end(order)

    assert f"{signal.SIG_DFL} set()" == leader.log(order).strip()
