"""Asking a leader for a profile of itself, and waiting for it."""

from __future__ import annotations

from typing import Any, Protocol

from scheduler.domain.clock import Clock
from scheduler.domain.errors import Refused, ReplicaNotFound
from scheduler.domain.ids import new_nonce
from scheduler.store.groups import GroupRepository
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.profiles import ProfileRepository

#: How long a leader may take to hear of it, and to pack what it saw.
_SLACK_S = 15.0


class _Store(Protocol):
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def leadership(self) -> LeadershipRepository: ...
    @property
    def clock(self) -> Clock: ...


def profile_of(
    store: _Store, profiles: ProfileRepository, replica: str, group: str | None, seconds: float
) -> dict[str, Any]:
    """A profile of the thread in which a replica leads a group, as pyinstrument's session in JSON.

    ``group`` may be None where it leads one. Raises ReplicaNotFound, Refused, StoreUnavailable.
    """
    led = _led_by(store, replica)
    if group is None and len(led) > 1:
        raise Refused(why=f"{replica} leads {', '.join(led)}; name one with --group")
    where = group or led[0]
    token = new_nonce()
    word = profiles.ask(where, replica, token, round(seconds * 1000))
    if word != "asked":
        raise Refused(why=f"{replica} does not lead group {where} now ({word.replace('_', ' ')})")
    deadline = store.clock.monotonic() + seconds + _SLACK_S
    while store.clock.monotonic() < deadline:
        if (found := profiles.take(token)) is not None:
            if "error" in found:
                raise Refused(why=f"{replica} gives no profile: {found['error']}")
            return found
    raise Refused(why=f"{replica} gave no profile in time; `scheduler leader show` says who leads")


def _led_by(store: _Store, replica: str) -> list[str]:
    leaders = {}
    for group in store.groups.names():
        facts = store.leadership.show(group)
        if facts["lock"] and facts["lock"] == facts.get("nonce"):
            leaders[group] = facts.get("holder", "")
    led = [group for group, holder in leaders.items() if holder == replica]
    if not led:
        told = ", ".join(f"{holder} ({group})" for group, holder in leaders.items())
        raise ReplicaNotFound(replica=replica, known=told or "none")
    return led
