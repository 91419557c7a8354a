"""A second policy beside the one in force: it decides on the same picture, and leaves no trace there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scheduler.cycle.plan import Placement, Plan
from scheduler.cycle.scheduler import Policy, propose, withdraw
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.waiting import Rank, WaitingRoom, WaitingSession
from scheduler.domain.verdict import Verdict

#: What may be told of one cycle; the rest of it is only counted.
TOLD = 5
ELSEWHERE, ONLY_REAL, ONLY_SHADOW = "elsewhere", "only_real", "only_shadow"


class _Room(WaitingRoom):
    """Who waits, in the order of the shadow; it follows the real room."""

    def __init__(self, real: WaitingRoom, rank: Rank) -> None:
        super().__init__(rank)
        self._placed: list[WaitingSession] = []
        for line in real.lines():
            for session in real.of(line.request.id):
                self.add(session)
        # Those waited before it looked.
        self.take_arrived()

    def add(self, session: WaitingSession) -> None:
        if not self.broken:
            super().add(session)

    def discard(self, session: str) -> WaitingSession | None:
        return None if self.broken else super().discard(session)

    def successor(self, placed: WaitingSession) -> WaitingSession | None:
        self._placed.append(placed)
        return super().successor(placed)

    def put_to_sleep(self, request: str, verdict: Verdict) -> bool:  # noqa: ARG002 - forgotten with the cycle
        self._awake.discard(request)
        return True

    def align(self, awake: set[str]) -> None:
        """Begin a cycle with the lines that are awake."""
        self._awake = awake

    def restore(self) -> None:
        """Who was placed waits again."""
        placed, self._placed = self._placed, []
        arrived = self.take_arrived()
        for session in placed:
            self.add(session)
        # They arrived before.
        self._arrived = arrived


class Shadow:
    """A policy that proposes and takes everything back."""

    def __init__(self, policy: Policy, real: WaitingRoom) -> None:
        self.policy = policy
        self._real = real
        self._room = real.twin = _Room(real, policy.scheduler.rank)

    def propose(self, snapshot: Snapshot, *, limit: int) -> Plan:
        """What it would decide now; ``broken`` says that it cannot. The snapshot is as it was before."""
        room = self._room
        if room.broken:
            return Plan(broken=room.broken)
        room.align(self._real.awake())
        # Only who waits is another: what is reserved in the rest is given back below.
        picture = replace(snapshot, waiting=room)
        plan = propose(picture, self.policy, limit=limit)
        for placement in reversed(plan.placements):
            withdraw(picture, placement)
        room.restore()
        return plan

    def leave(self) -> None:
        """Follow the real room no more."""
        if self._real.twin is self._room:
            self._real.twin = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One session that the two policies treat differently."""

    session: str
    kind: str  #: elsewhere, only_real, only_shadow
    real: Sequence[str]  #: agents, one for each kernel
    shadow: Sequence[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two plans for one picture differ. Counts are of sessions, unless they say otherwise."""

    counts: Mapping[str, int]
    told: Sequence[Difference] = field(default=())


def compare(real: Plan, shadow: Plan) -> Comparison:
    """Compare what both placed, and which lines one refused while the other placed of them."""
    one, other = _agents(real.placements), _agents(shadow.placements)
    both = [session for session in one if session in other]
    found = [
        Difference(session, ELSEWHERE, one[session], other[session])
        for session in both
        if one[session] != other[session]
    ]
    elsewhere = len(found)
    found += [Difference(s, ONLY_SHADOW, (), agents) for s, agents in other.items() if s not in one]
    found += [Difference(s, ONLY_REAL, agents, ()) for s, agents in one.items() if s not in other]
    reordered = both != [session for session in other if session in one]
    refused = len(_lines(real) & shadow.refusals.keys()) + len(
        _lines(shadow) & real.refusals.keys()
    )
    counts = {
        "cycles": 1,
        "cycles_alike": int(not found and not reordered),
        "cycles_reordered": int(reordered),
        "same": len(both) - elsewhere,
        ELSEWHERE: elsewhere,
        ONLY_REAL: len(one) - len(both),
        ONLY_SHADOW: len(other) - len(both),
        "lines_refused_by_one": refused,
    }
    return Comparison(counts, _some(found))


def _agents(placements: Sequence[Placement]) -> dict[str, tuple[str, ...]]:
    return {p.session.id: tuple(binding.agent for binding in p.bindings) for p in placements}


def _lines(plan: Plan) -> set[str]:
    return {placement.session.request.id for placement in plan.placements}


def _some(found: Sequence[Difference]) -> list[Difference]:
    """A few of them, and of each kind some."""
    kinds: dict[str, list[Difference]] = {}
    for difference in found:
        kinds.setdefault(difference.kind, []).append(difference)
    turns = [d for turn in zip(*(_padded(k) for k in kinds.values()), strict=True) for d in turn]
    return [difference for difference in turns if difference is not None][:TOLD]


def _padded(found: Sequence[Difference]) -> list[Difference | None]:
    return [*found[:TOLD], *[None] * (TOLD - len(found))]
