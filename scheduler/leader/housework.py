"""The chores: what must be done now and then, by whom and how often does not matter.

Each may be lost, doubled, or cut off in the middle: the next one does what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from scheduler.domain.clock import Clock
from scheduler.notifications.redeliveries import RedeliveryRules, redeliver
from scheduler.observability.logs import get_logger
from scheduler.operations import forgetting
from scheduler.store.callbacks import CallbackRepository
from scheduler.store.chores import ChoreRepository
from scheduler.store.durations import DurationRepository
from scheduler.store.miscounts import ScopeCounts
from scheduler.store.retention import RetentionRepository
from scheduler.store.sessions import SessionRepository
from scheduler.store.subscribers import SubscriberRepository

#: Longer than this (s) nobody stays at one chore: what is left waits for the next.
_LONGEST_S: Final = 20.0
#: Runs of a role after which its digest is halved, so that the last so many thousand count.
_MOST_RUNS: Final = 10_000
#: What is wrong is logged, but not if it is everything.
_NAMED: Final = 20
_COUNTED_LATELY_MS: Final = 30 * 60_000
_PUT_RIGHT: Final = "numbers of scopes put right"
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Tools:
    """What chores work with."""

    sessions: SessionRepository
    retention: RetentionRepository
    durations: DurationRepository
    notes: ChoreRepository
    subscribers: SubscriberRepository
    callbacks: CallbackRepository
    counts: ScopeCounts
    clock: Clock
    retention_ms: int
    redelivery: RedeliveryRules = field(default_factory=RedeliveryRules)

    def before_ms(self) -> int:
        """What ended before this is over its retention."""
        return self.retention.now_ms() - self.retention_ms


def forget_ended(tools: Tools, group: str) -> str:
    """Forget the group's sessions that ended longer ago than the retention, with their logs."""
    until, forgotten = tools.clock.monotonic() + _LONGEST_S, 0
    for some in forgetting.forget_ended(tools, group, tools.before_ms()):
        forgotten += some
        if tools.clock.monotonic() >= until:
            break
    return f"{forgotten} sessions forgotten"


def fold_digests(tools: Tools, group: str) -> str:  # noqa: ARG001 - digests are of offices, which have jobs in any group
    """Halve the digests of durations that have grown, and drop those nobody added to for long."""
    words = [tools.durations.fold(job, _MOST_RUNS) for job in tools.durations.each()]
    return f"{words.count('folded')} of {len(words)} digests halved, {words.count('gone')} dropped"


def try_parked(tools: Tools, group: str) -> str:  # noqa: ARG001 - subscribers and callbacks are of all groups
    """Give subscribers that were parked, and callbacks that were given up, another chance."""
    return redeliver(tools.subscribers, tools.callbacks, tools.redelivery)


def count_scopes(tools: Tools, group: str) -> str:
    """Put right what scopes count. They are of all groups: once in half an hour is enough for all."""
    lately = tools.retention.now_ms() - _COUNTED_LATELY_MS
    for other in tools.sessions.groups():
        for run in tools.notes.last(other):
            if other != group and run.at_ms > lately and run.says.endswith(_PUT_RIGHT):
                return f"done by the chore of group {other}"
    mended = tools.counts.mend()
    if mended is None:
        return "sessions moved all the time, so scopes could not be counted"
    for wrong in mended[:_NAMED]:
        _log.warning("scope.miscounted", says=wrong.says)
    return f"{len(mended)} {_PUT_RIGHT}"


@dataclass(frozen=True, slots=True)
class Chore:
    """One kind of chore."""

    every_s: int
    do: Callable[[Tools, str], str]  #: given the group; what it did, as a sentence


#: By name. A job on the queue names one of these, and nothing else can be run by it.
CHORES: Final[Mapping[str, Chore]] = {
    "retention": Chore(30, forget_ended),
    "digests": Chore(3600, fold_digests),
    # How often each gets one is the rules' to say: so a changed setting holds at once, and with the chores
    # of several groups nothing is tried more often.
    "redeliveries": Chore(60, try_parked),
    "counts": Chore(3600, count_scopes),
}
