"""``scheduler replica run``: what it makes of its options and signals."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scheduler import bootstrap
from scheduler.cli import replica
from scheduler.cli.app import cli
from scheduler.domain.errors import RedisUnsuitable
from scheduler.settings import Settings
from tests.unit.cli.conftest import Said, said

SECRET = "x" * 32


class Stub:
    """Stands for a Replica: ends the run it was started in, and remembers."""

    made: list[Stub] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, settings: Settings, name: str, groups: Sequence[str]) -> None:
        self.settings, self.name, self.groups = settings, name, list(groups)
        self.calls: list[str] = []
        self.seen: Any = None
        Stub.made.append(self)

    def start(self) -> None:
        self.calls.append("start")
        self._look()
        signal.raise_signal(signal.SIGTERM)

    def _look(self) -> None:
        pass

    def stop(self) -> None:
        self.calls.append("stop")

    def health(self) -> dict[str, Any]:
        return {"alive": True, "ready": True, "leads": ["default"], "redis": True}


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Stub]]:
    """Instead of a replica; and the signal handlers as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(bootstrap, "make_replica", Stub)
    monkeypatch.setattr(replica, "configure", lambda _: None)
    monkeypatch.setenv("SCHEDULER_SECRET", SECRET)
    Stub.made.clear()
    yield Stub.made
    for number, handler in before.items():
        signal.signal(number, handler)


def _run(*words: str) -> Said:
    return said(CliRunner().invoke(cli, ["replica", "run", *words]))


def test_a_signal_stops_it_in_good_order(stub: list[Stub]) -> None:
    assert 0 == _run().code
    assert ["start", "stop"] == stub[0].calls


def test_ctrl_c_is_no_error(stub: list[Stub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stub, "_look", lambda _: signal.raise_signal(signal.SIGINT))

    assert (0, ["start", "stop"]) == (_run().code, stub[0].calls)


def test_its_name_says_where_it_runs(stub: list[Stub]) -> None:
    _run()
    _run("--name", "r1", "--group", "a", "--group", "b")

    assert stub[0].name.startswith(socket.gethostname())
    assert ["default"] == stub[0].groups
    assert ("r1", ["a", "b"]) == (stub[1].name, stub[1].groups)


def test_the_secret_may_be_in_a_file(stub: list[Stub], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)

    _run("--secret-file", str(file))

    assert file == stub[0].settings.secret_file


def test_it_serves_health_and_metrics(stub: list[Stub], monkeypatch: pytest.MonkeyPatch) -> None:
    pages: dict[str, str] = {}

    def look(_: Stub) -> None:
        for page in ("health", "metrics"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=60) as answer:
                pages[page] = answer.read().decode()

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setattr(Stub, "_look", look)
    left = said(
        CliRunner().invoke(
            cli, ["--redis", "redis://127.0.0.1:1/0", "replica", "run", "--http", f":{port}"]
        )
    )

    assert 0 == left.code
    assert ["default"] == json.loads(pages["health"])["leads"]
    assert "scheduler_redis_up 0.0" in pages["metrics"]
    assert stub


def test_a_port_that_is_taken_is_refused(stub: list[Stub]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        left = _run("--http", f"127.0.0.1:{taken.getsockname()[1]}")

    assert (4, 1) == (left.code, left.err.count("\n"))
    assert "cannot be listened on: Address already in use" in left.err
    assert [] == stub[0].calls


def test_what_it_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Stub) -> None:
        raise RedisUnsuitable(why="it has version 5")

    monkeypatch.setattr(Stub, "_look", refuse)

    left = _run()

    assert (4, "This Redis cannot be used: it has version 5.\n") == (left.code, left.err)


@pytest.mark.parametrize("words", [["--http", "nonsense"], ["--secret-file", "/no/such"]])
def test_options_that_make_no_sense_start_nothing(stub: list[Stub], words: list[str]) -> None:
    assert (2, []) == (_run(*words).code, stub)
