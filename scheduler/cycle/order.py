"""In which order waiting sessions would be tried, by the group's own scheduler, changing nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scheduler.cycle.scheduler import Broken, call
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.plugins.interfaces import AbstractScheduler


def order_of(snapshot: Snapshot, scheduler: AbstractScheduler, most: int) -> list[str] | None:
    """The ids of the first so many; None where the scheduler does not tell.

    As if all were looked at now and each were placed when its turn comes. Whoever is refused then
    is stepped over, and keeps its place in here.
    """
    try:
        other = call(scheduler, scheduler.rehearse)
        return None if other is None else _go_through(snapshot, other, most)
    except Broken:
        return None  # its next cycle tells


def _go_through(snapshot: Snapshot, scheduler: AbstractScheduler, most: int) -> list[str]:
    waiting, found = snapshot.waiting, list[str]()
    held = {owner: dict(slots) for owner, slots in snapshot.held.items()}
    followers: dict[str, Iterator[WaitingSession]] = {}
    call(scheduler, scheduler.prioritize, replace(snapshot.context, held=held), waiting.firsts())
    while len(found) < most:
        session = call(scheduler, scheduler.pick_session)
        if not isinstance(session, WaitingSession):
            break
        found.append(session.id)
        request = session.request
        if request.id not in followers:
            followers[request.id] = waiting.in_order(request.id)
            next(followers[request.id])  # the session itself
        slots = held.setdefault(request.owner, {})
        for family, amount in request.families.items():
            slots[family] = slots.get(family, 0) + amount
        call(scheduler, scheduler.update_allocation, session, next(followers[request.id], None))
    return found
