"""Another chance for what was parked or given up: a receiver that was down for a day needs no operator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.domain.callback import GivenUp
from scheduler.store.callbacks import CallbackRepository
from scheduler.store.subscribers import SubscriberRepository

#: Parked callbacks that are looked at, and that are put back, each time at most.
_LOOKED_AT: Final = 10_000
_PUT_BACK: Final = 1_000


@dataclass(frozen=True, slots=True)
class RedeliveryRules:
    """What operators say about it, in ms."""

    every_ms: int = 15 * 60_000  #: between two chances
    within_ms: int = 3 * 86_400_000  #: after the first failure nobody tries any more


def redeliver(
    subscribers: SubscriberRepository, callbacks: CallbackRepository, rules: RedeliveryRules
) -> str:
    """Try what was parked, as far as it is time; what was done, as a sentence."""
    names = subscribers.names()
    words = [subscribers.probe(name, rules.every_ms, rules.within_ms) for name in names]
    parked = len(names) - words.count("running") - words.count("gone")
    now = callbacks.now_ms()
    found = callbacks.given_up(now - rules.within_ms, _LOOKED_AT)
    took, busy = callbacks.hosts({each.lane for each in found})
    put = callbacks.again(due(found, took, busy, now, rules)[:_PUT_BACK]) if found else 0
    return (
        f"{words.count('probed')} of {parked} parked subscribers and"
        f" {put} of {len(found)} parked callbacks given another chance"
    )


def due(
    found: Sequence[GivenUp],
    took: Mapping[str, int],
    busy: Collection[str],
    now: int,
    rules: RedeliveryRules,
) -> list[str]:
    """The callbacks that get another chance now, of those that were parked, the first parked first.

    All for a host that took one since they were given up; else one, to see, of a host for which nothing
    waits and nothing was given up lately. So a host that stays down costs one request each time.
    """
    lately = {each.lane for each in found if now - each.parked_at < rules.every_ms}
    tried = {*busy, *lately}
    chosen = []
    for each in found:
        if each.for_good or now - each.since > rules.within_ms:
            continue
        if now - each.parked_at < rules.every_ms:
            continue
        if took.get(each.lane, 0) > each.parked_at:
            chosen.append(each.entry)
        elif each.lane not in tried:
            tried.add(each.lane)
            chosen.append(each.entry)
    return chosen
