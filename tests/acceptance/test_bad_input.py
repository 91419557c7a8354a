"""Work that misbehaves: it ends with its true reason, and the agent that ran it stays well."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from scheduler import Session, SessionSpec
from scheduler.cli.app import cli
from scheduler.cli.context import App
from scheduler.domain.ids import new_nonce
from scheduler.domain.states import SessionState
from scheduler.protocol.names import OrderId
from scheduler.testing import Cluster, wait_until
from tests.acceptance.conftest import QUICK, Bench

pytestmark = pytest.mark.acceptance

ROGUES = "tests.acceptance.rogues"
#: For one session on a busy machine.
PATIENCE_S = 60.0
LOG_CAP = 2**20
S = SessionState


class Case(NamedTuple):
    """What is asked, how it ends, and the line that says why (``{session}`` is its id)."""

    asked: Mapping[str, Any]
    state: SessionState
    reason: str
    code: int | None  #: exit code of the kernel
    says: str


def rogue(name: str, *args: object, **options: Any) -> dict[str, Any]:
    return {"callable": f"{ROGUES}:{name}", "args": args, **options}


def command(*words: str, **options: Any) -> dict[str, Any]:
    return {"command": words, **options}


HALF = "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed"

CASES = [
    Case(rogue("raises"), S.FAILED, "raised", 1, "LookupError: nothing here"),
    Case(rogue("raises_two_lines"), S.FAILED, "raised", 1, "LookupError: first line"),
    Case(
        rogue("raises_mute"), S.FAILED, "raised", 1, f"{ROGUES}.MuteError: <exception str() failed>"
    ),
    Case(
        rogue("raises_group"),
        S.FAILED,
        "raised",
        1,
        "ExceptionGroup: two at once (2 sub-exceptions)",
    ),
    Case(rogue("interrupts"), S.FAILED, "raised", 1, "KeyboardInterrupt"),
    Case(
        rogue("good", "too", "many"),
        S.FAILED,
        "raised",
        1,
        "TypeError: good() takes 1 positional argument but 2 were given",
    ),
    Case(
        rogue("good", 1, env={"A": "\ud800"}), S.FAILED, "raised", 1, f"UnicodeEncodeError: {HALF}"
    ),
    Case(rogue("exits", 3), S.FAILED, "exited", 3, "kernel 0 exited with 3"),
    Case(rogue("exits", "bye"), S.FAILED, "exited", 1, "kernel 0 exited with 1"),
    Case(rogue("exits_mute"), S.FAILED, "exited", 1, "kernel 0 exited with 1"),
    Case(
        rogue("exits_at_once", 0),
        S.FAILED,
        "bad_result",
        0,
        "It ended its process with code 0 before it returned, so there is no result.",
    ),
    Case(rogue("exits_at_once", 7), S.FAILED, "exited", 7, "kernel 0 exited with 7"),
    Case(rogue("aborts"), S.FAILED, "killed", None, "It was killed by signal 6 (SIGABRT)."),
    Case(rogue("segfaults"), S.FAILED, "killed", None, "It was killed by signal 11 (SIGSEGV)."),
    Case(
        rogue("hogs", slots={"cpu": "1", "mem": "128MiB"}),
        S.FAILED,
        "out_of_memory",
        None,
        "It used more than its 128 MiB of memory.",
    ),
    Case(
        rogue("ignores_sigterm", timeout=0.3),
        S.TIMED_OUT,
        "timed_out",
        None,
        "It ran longer than its timeout of 0.3 s.",
    ),
    Case(rogue("forks"), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("closes_files"), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("closes_streams"), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("starts_threads"), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("changes_its_world"), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("changes_its_process"), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("prints", 100_000_000), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("prints_one_line", 20_000_000), S.SUCCEEDED, "exited", 0, ""),
    Case(rogue("prints_rubbish"), S.SUCCEEDED, "exited", 0, ""),
    Case(
        rogue("returns_object"),
        S.FAILED,
        "bad_result",
        1,
        "The result is not JSON: Object of type object is not JSON serializable.",
    ),
    Case(
        rogue("returns_set_inside"),
        S.FAILED,
        "bad_result",
        1,
        "The result is not JSON: Object of type set is not JSON serializable.",
    ),
    Case(
        rogue("returns_large", 50_000_000),
        S.FAILED,
        "bad_result",
        1,
        "The result takes 50000002 bytes of JSON, the limit is 1048576.",
    ),
    Case(
        rogue("missing"),
        S.FAILED,
        "not_found",
        1,
        f"Module {ROGUES!r} has no 'missing'.",
    ),
    Case(
        rogue("not_callable"),
        S.FAILED,
        "not_found",
        1,
        f"{ROGUES}:not_callable is a int, which cannot be called.",
    ),
    Case(
        {"callable": "nowhere.at_all:thing"},
        S.FAILED,
        "not_found",
        1,
        "There is no module 'nowhere.at_all' on this agent's path.",
    ),
    Case(
        {"callable": "os:system", "args": ["true"]},
        S.FAILED,
        "not_allowed",
        None,
        "This agent's allow-list does not name os:system; start it with --allow 'os.*'.",
    ),
    Case(
        command("/bin/nosuch"),
        S.FAILED,
        "not_found",
        127,
        "'/bin/nosuch' cannot be run: No such file or directory.",
    ),
    Case(command("/"), S.FAILED, "not_found", 127, "'/' cannot be run: Permission denied."),
    Case(command("echo", "\ud800"), S.FAILED, "not_found", 127, f"'echo' cannot be run: {HALF}."),
    Case(
        command("echo", "x" * 200_000),
        S.FAILED,
        "not_found",
        127,
        "'echo' cannot be run: Argument list too long.",
    ),
    Case(
        command("sh", "-c", "kill -SEGV $$"),
        S.FAILED,
        "killed",
        None,
        "It was killed by signal 11 (SIGSEGV).",
    ),
    Case(command("sh", "-c", "exit 3"), S.FAILED, "exited", 3, "kernel 0 exited with 3"),
]


def _name(case: Case) -> str:
    asked = case.asked
    words = [asked["callable"].rpartition(":")[2]] if "callable" in asked else asked["command"]
    told = ascii("-".join(word[:12] for word in [*words, *map(str, asked.get("args", ()))]))
    return told.strip("'")


@pytest.fixture(scope="module")
def rogues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One agent that runs the callables of one module, and commands."""
    with Cluster(tmp_path_factory.mktemp("rogues"), settings=QUICK) as cluster:
        cluster.start_replica("r1")
        start_agent(cluster, "a1")
        cluster.wait_for_leader()
        cluster.wait_for_agents("a1")
        yield Bench(cluster)


def start_agent(cluster: Cluster, agent: str) -> None:
    """An agent with an allow-list."""
    state = str(cluster.folder / "agents")
    words = ["agent", "run", "--id", agent, "--slots", "cpu=1,mem=2GiB", "--state-dir", state]
    words += ["--allow", f"{ROGUES}.*", "--allow", "nowhere.*", "--allow-commands"]
    cluster.start(agent, words)


def good(bench: Bench) -> object:
    """What a good session finds now."""
    where = {"WHERE": str(bench.cluster.path)}
    return bench.client.enqueue(f"{ROGUES}:good", 21, env=where).get(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def untouched(rogues: Bench) -> object:
    """What a good session finds before anything has misbehaved."""
    found = good(rogues)

    assert [42, True, ""] == found[:3]  # type: ignore[index]
    return found


def say(bench: Bench, *words: str) -> tuple[int, str, str]:
    """Exit code, output and complaints of the command line."""
    result = CliRunner().invoke(cli, ["--redis", bench.cluster.redis.url, *words], obj=App())
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("case", CASES, ids=map(_name, CASES))
def test_it_ends_with_its_true_reason_and_the_next_session_finds_a_clean_agent(
    rogues: Bench, untouched: object, case: Case
) -> None:
    """K20: section 2 of the mission's bad input, each by a real agent."""
    env = {"WHERE": str(rogues.cluster.path), **case.asked.get("env", {})}
    session = rogues.client.enqueue_many([SessionSpec(**{**case.asked, "env": env})])[0]

    data = session.wait(timeout=PATIENCE_S)
    kernel, row = data.kernels[0], data.history[-1]

    assert (case.state, case.reason, case.code) == (data.state, kernel.reason, kernel.exit_code)
    assert (case.state, case.says) == (row.outcome, row.error)
    _tells_by_command_line(rogues, session, case)
    assert untouched == good(rogues)
    assert rogues.cluster.processes["a1"].poll() is None


def _tells_by_command_line(bench: Bench, session: Session, case: Case) -> None:
    code, shown, _ = say(bench, "session", "show", session.id)

    assert 0 == code
    assert case.says in shown

    code, _, complaint = say(bench, "session", "wait", session.id)

    if case.state is S.SUCCEEDED:
        assert (0, "") == (code, complaint)
    else:
        says = f"Session {session.id} ended {case.state}: {case.says.rstrip('.')}.\n"
        assert (1, says) == (code, complaint)


def test_a_result_with_half_a_character_can_be_read_and_printed(rogues: Bench) -> None:
    """K20: JSON can say what no terminal can."""
    session = rogues.client.enqueue(f"{ROGUES}:returns_half_a_character")

    assert "\ud800" == session.get(timeout=PATIENCE_S)
    assert (0, True) == (
        say(rogues, "session", "show", session.id)[0],
        '"\\ud800"' in say(rogues, "session", "show", session.id, "-o", "json")[1],
    )


@pytest.mark.parametrize(
    ("asked", "begins"),
    [
        (rogue("prints", 100_000_000), "x" * 99 + "\n"),
        (rogue("prints_one_line", 20_000_000), "x" * 200),
        (rogue("prints_rubbish"), "caf\ufffd \ufffd\ufffd\0end\n"),
    ],
    ids=["many lines", "one line", "no text"],
)
def test_whatever_it_prints_its_log_is_bounded_text(
    rogues: Bench, asked: dict[str, Any], begins: str
) -> None:
    """K20: 100 MB, a line without end, and bytes that are no text."""
    session = rogues.client.enqueue_many([SessionSpec(**asked)])[0]
    session.wait(timeout=PATIENCE_S)
    log = session.logs()

    assert log.startswith(begins)
    assert len(log) <= LOG_CAP + 200
    code, out, cut = say(rogues, "session", "logs", session.id)
    assert (0, log) == (code, out + cut)


def test_what_it_left_behind_is_dead_when_it_has_ended(rogues: Bench) -> None:
    """K20: forked children that ignore SIGTERM and left its process group do not outlive it."""
    session = rogues.client.enqueue(f"{ROGUES}:forks", env={"MARK": new_nonce()})
    session.wait(timeout=PATIENCE_S)
    mark = f"SESSION_ID={session.id}".encode()

    assert [] == [
        each.name
        for each in Path("/proc").iterdir()
        if each.name.isdigit() and mark in _environ(each)
    ]


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # gone, or never ours to read
        return b""


def test_a_forged_job_runs_nothing(rogues: Bench, untouched: object) -> None:
    """K20: who can write to the queue but has no key only makes the agent say so."""
    store, proof = rogues.client.store, rogues.cluster.folder / "proof"
    boot = store.agents.get("a1").boot
    session = rogues.client.enqueue(f"{ROGUES}:raises")
    order = OrderId(session.wait(timeout=PATIENCE_S).id, 7, new_nonce())
    forged = json.dumps({"agent": "a1", "boot": boot}) + "\n"
    forged += json.dumps({"command": ["touch", str(proof)]})
    for text in ("", "nonsense", f"mac {forged}", f"{'0' * 64} {forged}"):
        store.client.hset(store.keys.orders("a1"), str(order), text)
        store.client.rpush(store.keys.rq_queue("a1"), str(order), "nonsense", "rq:job:none", "\0")
    wait_until(
        lambda: not store.client.llen(store.keys.rq_queue("a1")),
        within=PATIENCE_S,
        saying="the agent never took the forged jobs",
    )

    assert untouched == good(rogues)
    assert not proof.exists()


def test_a_full_disk_fails_the_session_that_filled_it_and_no_other(tmp_path: Path) -> None:
    """K20: its scratch directory is emptied, so the next session has room again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with Cluster(tmp_path, settings=QUICK) as cluster:
        bench = Bench(cluster)
        cluster.start_replica("r1")
        script = 'mount -t tmpfs -o size=16m none "$0" && exec "$@"'
        words = ["-m", "scheduler.cli", "agent", "run", "--id", "a1", "--slots", "cpu=1"]
        words += ["--state-dir", str(disk), "--allow", f"{ROGUES}.*"]
        if not _can_mount(disk):
            pytest.skip("a small disk cannot be mounted here")
        with (tmp_path / "logs" / "a1.log").open("ab") as log:
            cluster.processes["a1"] = subprocess.Popen(
                [*UNSHARE, "sh", "-c", script, str(disk), sys.executable, *words],
                env=cluster.environment,
                cwd=cluster.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        cluster.wait_for_leader()
        cluster.wait_for_agents("a1")
        before = good(bench)
        session = bench.client.enqueue(f"{ROGUES}:fills_its_disk")
        data = session.wait(timeout=PATIENCE_S)

        assert (S.FAILED, "OSError: [Errno 28] No space left on device") == (
            data.state,
            data.history[-1].error,
        )
        assert before == good(bench)


UNSHARE = ("unshare", "--map-root-user", "--mount")


def _can_mount(folder: Path) -> bool:
    if not shutil.which("unshare"):
        return False
    mount = ["mount", "-t", "tmpfs", "none", str(folder)]
    return not subprocess.run([*UNSHARE, *mount], capture_output=True, check=False).returncode


@pytest.mark.parametrize("words", [("session", "wait"), ("session", "logs", "-f")], ids=" ".join)
def test_ctrl_c_ends_the_waiting_at_once_and_not_the_session(
    rogues: Bench, words: Sequence[str]
) -> None:
    """D4: one line, exit code 130, no traceback."""
    session = rogues.client.enqueue_command(["sh", "-c", "echo up; sleep 1000"])
    wait_until(
        lambda: session.state is S.RUNNING and session.logs(),
        within=PATIENCE_S,
        saying="it never ran",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "scheduler.cli", *words, session.id],
        env={**os.environ, "SCHEDULER_REDIS_URL": rogues.cluster.redis.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    channel = rogues.client.store.keys.done(session.id)
    wait_until(
        lambda: (
            rogues.client.store.client.pubsub_numsub(channel)[0][1]
            or (words[1] == "logs" and process.stdout and process.stdout.readline())
        ),
        within=PATIENCE_S,
        saying="the command never began to wait",
    )
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=PATIENCE_S)

    assert (130, f"Interrupted; session {session.id} goes on.\n") == (process.returncode, complaint)
    assert S.RUNNING is session.state

    session.cancel()
    session.wait(timeout=PATIENCE_S)
