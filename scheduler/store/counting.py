"""What scopes should count, worked out anew from the sessions themselves."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.request import Request, charge_text, parse_request_text
from scheduler.domain.scope import Scope
from scheduler.domain.states import PLACED, WAITING, SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.scopes import PENDING, PENDING_SLOTS, SLOTS

_PAGE = 500


@dataclass(slots=True)
class Counted:
    """What one walk through all that waits and all that is placed found."""

    mark: str  #: of the last event before it began; nothing happened meanwhile if it is still the last
    fields: dict[Scope, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: By placed session, what it should hold, where its record does not say that.
    held: dict[str, str] = field(default_factory=dict)


def last_event(client: redis.Redis, keys: Keys) -> str:
    """Changes whenever anything happens to a session; those of graphs are loaded without an event."""
    with speaking_to(client):
        found = cast("Any", client).hmget(keys.counters(), "epoch", "seq", "submitted", "discarded")
    return "-".join(each or "" for each in found)


def count_anew(client: redis.Redis, keys: Keys) -> Counted:
    """Walk all that waits and all that is placed, in pages. Raises StoreUnavailable."""
    found, requests = Counted(last_event(client, keys)), _Requests(client, keys)
    for state, page in _pages(client, keys):
        for session, request, held in page:
            asked = requests.get(request)
            if state in WAITING:
                _wait(found, asked)
                continue
            charge = _charge(asked, held)
            _hold(found, charge)
            if charge != held:
                found.held[session] = charge
    return found


def _charge(asked: Request | None, held: str) -> str:
    """What a placed session charges: by its request, else what is noted, in layout 1 its scopes only."""
    if asked is not None:
        return charge_text(asked)
    try:
        noted = json.loads(held) if held else []
    except ValueError:
        noted = []  # nobody can tell any more what it holds
    if isinstance(noted, dict):
        return held
    return json.dumps({"scopes": noted, "slots": {}}, separators=(",", ":"))


def _wait(found: Counted, asked: Request | None) -> None:
    if asked is None:
        return
    for scope in asked.scopes:
        found.fields[scope][PENDING] += 1
        for family, amount in asked.families.items():
            found.fields[scope][PENDING_SLOTS + family] += amount


def _hold(found: Counted, held: str) -> None:
    charge = json.loads(held)
    for kind, name in charge["scopes"]:
        for family, amount in charge["slots"].items():
            found.fields[Scope(kind, name)][SLOTS + family] += amount


class _Requests:
    """Requests by id; None where the text is lost."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._known: dict[str, Request | None] = {}

    def get(self, request: str) -> Request | None:
        """One request."""
        if request not in self._known:
            with speaking_to(self._client):
                text = cast("str | None", self._client.hget(self._keys.request(request), "text"))
            self._known[request] = _legible(text)
        return self._known[request]


def _legible(text: str | None) -> Request | None:
    try:
        return parse_request_text(text or "")
    except (ValueError, TypeError, KeyError, InvalidSpec):
        return None  # scripts take it for one that charges nothing, too


Row = tuple[str, str, str]


def _pages(client: redis.Redis, keys: Keys) -> Iterator[tuple[SessionState, list[Row]]]:
    """(session, request, what it holds), by state."""
    with speaking_to(client):
        groups = sorted(cast("Iterable[str]", client.smembers(keys.groups())))
    for group in groups:
        indexes = [(state, keys.state(group, state)) for state in (*WAITING, *PLACED)]
        for state, index in [(SessionState.PENDING, keys.unseen(group)), *indexes]:
            start = 0
            while ids := _ids(client, index, start):
                start += len(ids)
                with speaking_to(client), client.pipeline(transaction=False) as pipe:
                    for session in ids:
                        pipe.hmget(keys.session(session), "request", "held")
                    rows = pipe.execute()
                yield (
                    state,
                    [(s, r or "", held or "") for s, (r, held) in zip(ids, rows, strict=True)],
                )


def _ids(client: redis.Redis, key: str, start: int) -> list[str]:
    with speaking_to(client):
        return cast("list[str]", client.zrange(key, start, start + _PAGE - 1))
