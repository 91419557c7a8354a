"""Groups of child processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from scheduler.cli import processes
from scheduler.cli.processes import ProcessDied, ProcessGroup

FOREVER = "import threading; print('up', flush=True); threading.Event().wait()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER


@pytest.fixture
def heard() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def group(heard: list[tuple[str, str]]) -> Iterator[ProcessGroup]:
    with ProcessGroup(lambda name, line: heard.append((name, line))) as group:
        yield group


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_is_heard_line_by_line(group: ProcessGroup, heard: list[tuple[str, str]]) -> None:
    group.start("p", _python("import sys; print('out'); print('err', file=sys.stderr)"))

    assert 0 == group.wait("p")
    assert ["out", "err"] == sorted(group.output("p"), reverse=True)
    assert {("p", "out"), ("p", "err")} == set(heard)


def test_a_process_is_given_its_environment(group: ProcessGroup) -> None:
    group.start("p", _python("import os; print(os.environ['WORD'])"), {"WORD": "hello"})
    group.wait("p")

    assert ["hello"] == group.output("p")


def test_stopping_is_sigterm(group: ProcessGroup) -> None:
    group.start("p", _python(FOREVER))
    group.wait_for_line("p", "up")

    assert -signal.SIGTERM == group.stop("p")
    assert not group.alive("p")


def test_what_does_not_stop_is_killed(group: ProcessGroup) -> None:
    group.start("p", _python(DEAF))
    group.wait_for_line("p", "up")

    assert -signal.SIGKILL == group.stop("p", within=0.1)


def test_what_was_suspended_can_be_stopped(group: ProcessGroup) -> None:
    group.start("p", _python(FOREVER))
    group.wait_for_line("p", "up")
    group.kill("p", signal.SIGSTOP)

    assert -signal.SIGTERM == group.stop("p")


def test_all_are_stopped_at_once(group: ProcessGroup) -> None:
    for name in ("a", "b", "c"):
        group.start(name, _python(DEAF))
        group.wait_for_line(name, "up")
    began = monotonic()

    group.stop_all(within=0.3)

    assert [False] * 3 == [group.alive(name) for name in group.names]
    assert monotonic() - began < 10


def test_waiting_for_one_that_dies_tells_its_last_words(group: ProcessGroup) -> None:
    group.start("p", _python("print('oh no'); raise SystemExit(3)"))

    with pytest.raises(ProcessDied, match="p ended with 3: oh no"):
        group.wait_for_line("p", "up")


def test_waiting_has_an_end(group: ProcessGroup) -> None:
    group.start("p", _python(FOREVER))

    with pytest.raises(TimeoutError, match=r"p was not ready within 0\.1 s"):
        group.wait_for("p", lambda: False, within=0.1)
    with pytest.raises(TimeoutError, match=r"p did not end within 0\.1 s"):
        group.wait("p", within=0.1)


def test_a_name_is_used_once_at_a_time(group: ProcessGroup) -> None:
    first = group.start("p", _python(FOREVER))
    with pytest.raises(ValueError, match="p already runs"):
        group.start("p", _python(FOREVER))
    group.stop("p")

    assert first != group.start("p", _python(FOREVER))


def _revived(group: ProcessGroup, name: str) -> int:
    """Look until it runs again; its new pid."""
    for _ in range(3_000):
        if name in group.revive():
            return group.pid(name)
        threading.Event().wait(0.02)
    raise AssertionError(f"{name} was not started again")


def test_what_dies_is_started_again(
    group: ProcessGroup, monkeypatch: pytest.MonkeyPatch, heard: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(processes, "BACK_OFF", (0.05,))
    first = group.start("p", _python(FOREVER))
    group.wait_for_line("p", "up")
    group.kill("p")
    group.wait("p")

    assert first != _revived(group, "p")
    assert group.alive("p")
    assert ("p", "ended with -9, starts again") in heard


def test_the_back_off_grows_with_deaths(
    group: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BACK_OFF", (0.01, 60.0))
    group.start("p", _python("raise SystemExit(1)"))
    group.wait("p")
    _revived(group, "p")
    group.wait("p")

    assert [] == group.revive() + group.revive()


def test_what_we_stopped_stays_stopped(
    group: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BACK_OFF", (0.0,))
    group.start("p", _python(FOREVER))
    group.stop("p")

    assert [] == group.revive() + group.revive()


def test_children_go_when_their_parent_is_killed(group: ProcessGroup) -> None:
    """Nobody is left behind by a kill -9."""
    code = (
        "import sys, threading\n"
        "from scheduler.cli.processes import ProcessGroup\n"
        "group = ProcessGroup()\n"
        f"print('child', group.start('c', [sys.executable, '-c', {FOREVER!r}]), flush=True)\n"
        "threading.Event().wait()\n"
    )
    group.start("parent", _python(code), {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    child = int(group.wait_for_line("parent", "child").split()[1])
    group.kill("parent")
    group.wait("parent")

    assert _gone(child)


def _gone(pid: int) -> bool:
    for _ in range(3_000):
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        threading.Event().wait(0.02)
    return False
