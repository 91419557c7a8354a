"""What the answers to beats lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents import facts
from agents.heartbeat import Heartbeat, Rhythm
from agents.held import Held
from agents.identity import Identity
from agents.leash import Leash
from agents.post import Answer, Claimed
from scheduler.domain.errors import StoreUnavailable
from scheduler.protocol.report import Registration


@dataclass
class Said:
    word: str
    reason: str = ""
    stops: Mapping[str, str] = field(default_factory=dict)


class Leader:
    """Answers what it is told to, and notes what it hears; also what answers lead to."""

    def __init__(self) -> None:
        self.answer: Said | None = Said("unknown")
        self.registered = 0
        self.beats: list[tuple[int, list[str]]] = []
        self.over: list[list[str]] = []
        self.led_to: list[str] = []

    def beat(
        self, boot: str, ttl_ms: int, *, claims: int, running: Sequence[str], over: Sequence[str]
    ) -> Answer:
        assert (boot, ttl_ms) == ("b" * 32, 4000)
        self.over.append(list(over))
        self.beats.append((claims, list(running)))
        if self.answer is None:
            raise StoreUnavailable(url="redis://h", why="gone")
        return self.answer

    def report(self, reports: Sequence[Mapping[str, str]]) -> None:
        self.registered += len(reports)

    def claim(self, boot: str, orders: Sequence[str], report: Mapping[str, str]) -> list[Claimed]:
        raise NotImplementedError

    def lying(self) -> list[str]:
        raise NotImplementedError

    def stop_order(self, order: str) -> str | None:
        raise NotImplementedError

    def log(self, order: str, stream: str, text: str, *, cap: int, ttl_s: int) -> bool:
        raise NotImplementedError

    def admitted(self) -> None:
        self.led_to.append("admitted")

    def stop(self, order: str, text: str) -> None:
        self.led_to.append(f"stop {order} {text}")

    def refused(self, reason: str) -> None:
        self.led_to.append(f"refused {reason}")

    def superseded(self) -> None:
        self.led_to.append("superseded")

    def forgotten(self) -> None:
        self.led_to.append("forgotten")


@pytest.fixture
def leader() -> Leader:
    return Leader()


@pytest.fixture
def leash(tmp_path: Path) -> Leash:
    return Leash(tmp_path / "leash", create=True)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def beats(leader: Leader, leash: Leash, held: Held) -> Heartbeat:
    identity = Identity("a1", "default", "b" * 32, "00" * 32)
    registration = Registration(agent="a1", boot="b" * 32, group="default", slots={"cpu": 1})
    beats = Heartbeat(identity, leader, registration, Rhythm(0.5, 1000), leash)
    beats._ruler, beats._held = leader, held
    return beats


def test_it_is_ready_while_it_is_admitted_and_heard(beats: Heartbeat, leader: Leader) -> None:
    """J8: and says in a sentence why not."""
    told = [beats.why_not_ready]
    for answer in (Said("unknown"), Said("wait", "boot 7"), Said("ok"), None, Said("ok")):
        leader.answer = answer
        beats.run_once()
        told.append(beats.why_not_ready)

    nobody = "It is not admitted (no leader has answered yet)."
    gone = str(StoreUnavailable(url="redis://h", why="gone"))
    assert [nobody, nobody, "It is not admitted (boot 7).", "", gone, ""] == told


def test_a_redis_that_is_silent_is_noticed_while_a_beat_waits_for_it(
    beats: Heartbeat, leader: Leader
) -> None:
    """J8: a command that hangs tells nothing for seconds."""
    leader.answer = Said("ok")
    beats.run_once()
    beats._heard_ns -= 60_000_000_000

    assert "Redis has not answered for 60 s." == beats.why_not_ready


def test_who_hears_nothing_of_its_group_says_so_once(beats: Heartbeat, leader: Leader) -> None:
    """J8: a group whose name is misspelled is led by nobody."""
    lines: list[tuple[str, str]] = []
    log: Any = SimpleNamespace(info=lambda event, why="": lines.append((event, why)))
    beats._log = log
    beats.run_once()
    assert [("agent.registering", "")] == lines
    for _ in range(2):
        beats._registered_ns -= 3_000_000_000
        beats.run_once()

    says = "no leader of group default answers; is that its group?"
    assert [("agent.waiting", says)] == lines[1:]
    assert 3 == leader.registered


def test_an_ok_extends_the_lease_from_before_the_beat(
    beats: Heartbeat, leader: Leader, leash: Leash
) -> None:
    leader.answer = Said("ok", stops={"o1": "text"})
    before = facts.boottime_ns()
    pause = beats.run_once()

    assert 0.5 == pause
    assert before + 10**9 <= leash.until_ns <= facts.boottime_ns() + 10**9
    assert ["admitted", "stop o1 text"] == leader.led_to
    assert beats.may_claim.is_set()
    assert beats.lease_runs


@pytest.mark.parametrize("word", ["unknown", "wait", "refused", "superseded"])
def test_without_an_ok_nothing_is_claimed(
    beats: Heartbeat, leader: Leader, leash: Leash, word: str
) -> None:
    leader.answer = Said(word, "why")

    assert 0.2 == beats.run_once()
    assert not beats.may_claim.is_set()
    assert 0 == leash.until_ns
    assert (["refused why"] if word == "refused" else []) == leader.led_to


def test_only_who_was_admitted_can_be_superseded(beats: Heartbeat, leader: Leader) -> None:
    for answer in (Said("superseded", "old"), Said("ok"), Said("superseded", "new")):
        leader.answer = answer
        beats.run_once()

    assert ["admitted", "superseded"] == leader.led_to
    assert not beats.may_claim.is_set()


@pytest.mark.parametrize("answer", [Said("unknown"), Said("superseded", "old")])
def test_who_was_forgotten_in_a_failover_stops_its_kernels_and_registers_once_more(
    beats: Heartbeat, leader: Leader, held: Held, answer: Said
) -> None:
    """X8: the record names nobody, or the boot before ours; what runs here no record knows."""
    for before in (Said("superseded", "old"), Said("ok")):
        leader.answer = before
        beats.run_once()
    held.take([("o1", 1)])
    beats._registered_ns -= 4 * 10**9
    leader.answer = answer
    beats.run_once()
    while_it_runs = leader.registered
    held.told("o1")
    beats.run_once()

    assert ["admitted", "forgotten"] == leader.led_to
    assert (1, 2) == (while_it_runs, leader.registered)


def test_a_registration_is_said_first_and_again_after_a_while(
    beats: Heartbeat, leader: Leader
) -> None:
    beats.run_once()
    beats.run_once()
    assert 1 == leader.registered

    beats._registered_ns -= 4 * 10**9
    beats.run_once()
    assert 2 == leader.registered


def test_who_waits_says_it_again_for_a_leader_that_comes_new(
    beats: Heartbeat, leader: Leader
) -> None:
    leader.answer = Said("wait", "for the lease of the last boot")
    beats.run_once()
    beats._registered_ns -= 4 * 10**9
    beats.run_once()

    assert 2 == leader.registered


def test_silence_extends_nothing_and_is_asked_again_soon(
    beats: Heartbeat, leader: Leader, leash: Leash
) -> None:
    leader.answer = Said("ok")
    beats.run_once()
    until = leash.until_ns
    leader.answer = None

    assert 0.2 == beats.run_once()
    assert until == leash.until_ns


def test_a_forgotten_agent_claims_nothing_until_it_is_known_again(
    beats: Heartbeat, leader: Leader
) -> None:
    for word in ("ok", "unknown"):
        leader.answer = Said(word)
        beats.run_once()
    assert not beats.may_claim.is_set()

    leader.answer = Said("ok")
    beats.run_once()
    assert beats.may_claim.is_set()


def test_beats_name_what_is_held_until_its_end_is_told(
    beats: Heartbeat, leader: Leader, held: Held
) -> None:
    held.take([("o1", 4), ("o2", 5)])
    beats.run_once()
    held.told("o1")
    beats.run_once()

    assert [(5, ["o1", "o2"]), (5, ["o2"])] == leader.beats
    assert held.knows("o1")


def test_a_stop_is_obeyed_until_the_end_is_told_and_then_given_back(
    beats: Heartbeat, leader: Leader, held: Held
) -> None:
    """A stop for a kernel that no session knows is taken back by nobody else."""
    held.take([("o1", 1)])
    leader.answer = Said("ok", stops={"o1": "stop it"})
    beats.run_once()
    held.told("o1")
    beats.run_once()
    beats.run_once()

    assert ["admitted", "stop o1 stop it"] == leader.led_to
    assert [[], [], ["o1"]] == leader.over
