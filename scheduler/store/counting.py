"""What scopes should count, worked out anew from the sessions themselves, while they move.

A walk through all of them is true of no moment. So what happened meanwhile is read from the events, and
the sessions they name once more: that takes ms, and soon nothing happens in between.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple, cast

import redis

from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import Request, charge_text, parse_request_text
from scheduler.domain.scope import Scope
from scheduler.domain.states import PLACED, WAITING
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.scopes import PENDING, PENDING_SLOTS, SLOTS

_PAGE: Final = 500


@dataclass(slots=True)
class Counted:
    """What all that waits and all that is placed counts, at the moment of one event."""

    mark: str  #: of the last event it is true of; nothing happened since if it is still the last
    fields: dict[Scope, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: By placed session, what it should hold, where its record does not say that.
    held: dict[str, str] = field(default_factory=dict)


class _Row(NamedTuple):
    """What a session counts by."""

    waits: bool
    request: str
    held: str


def last_event(client: redis.Redis, keys: Keys) -> str:
    """Changes whenever anything happens to a session; those of graphs are loaded without an event."""
    with speaking_to(client):
        found = cast("Any", client).hmget(keys.counters(), "epoch", "seq", "submitted", "discarded")
    return "-".join(each or "" for each in found)


def count_anew(client: redis.Redis, keys: Keys) -> Counted:
    """Count once. Raises StoreUnavailable."""
    return Count(client, keys).catch_up()


class Count:
    """Counts a namespace once, in pages, and from then on what happens in it. Raises StoreUnavailable.

    It remembers by what each session counts: some 300 bytes each.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._requests = _Requests(client, keys)
        self._rows: dict[str, _Row] = {}
        self._unseen: set[str] = set()
        self._counted = Counted("")
        self.walks = (
            0  #: through all sessions: one, and one more each time events were trimmed meanwhile
        )

    def catch_up(self) -> Counted:
        """What there is to count now; true of the moment of its mark, if that is still the last event."""
        before, now = self._counted.mark, last_event(self._client, self._keys)
        touched = self._since(before, now)
        if touched is None:
            self._rows, self._unseen, self._counted = {}, set(), Counted("")
            self.walks += 1
        self._read(self._listed() if touched is None else touched)
        if touched is None or before.split("-")[2:] != now.split("-")[2:]:
            # Loading and discarding a graph is told by no event.
            unseen = {session for index in self._unseen_indexes() for session in self._ids(index)}
            self._read(self._unseen | unseen)
            self._unseen = unseen
        self._counted.mark = now
        return self._counted

    def _since(self, before: str, now: str) -> set[str] | None:
        """Sessions of the events in between; None where those are not all there any more."""
        if not before:
            return None
        (epoch, began, *_), (same, ended, *_) = before.split("-"), now.split("-")
        if epoch != same:
            return None
        after, last = int(began or 0), int(ended or 0)
        touched: set[str] = set()
        while after < last:
            with speaking_to(self._client):
                page: Any = self._client.xrange(
                    self._keys.events(), f"({epoch}-{after}", f"{epoch}-{last}", count=_PAGE
                )
            if not page or int(page[0][0].partition("-")[2]) != after + 1:
                return None
            touched.update(fields.get("session", "") for _, fields in page)
            after = int(page[-1][0].partition("-")[2])
        return touched

    def _read(self, sessions: Iterable[str]) -> None:
        rest = iter(sessions)
        while page := list(islice(rest, _PAGE)):
            with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
                for session in page:
                    pipe.hmget(self._keys.session(session), "state", "request", "held")
                rows = pipe.execute()
            self._requests.load({request for _, request, _ in rows if request})
            for session, (state, request, held) in zip(page, rows, strict=True):
                counts = state in WAITING or state in PLACED
                row = _Row(state in WAITING, request or "", held or "") if counts else None
                self._put(session, row)

    def _put(self, session: str, row: _Row | None) -> None:
        before = self._rows.pop(session, None)
        if before is not None:
            self._add(before, -1)
            self._counted.held.pop(session, None)
        if row is not None:
            self._rows[session] = row
            self._add(row, 1)
            if not row.waits and (charge := self._charge(row)) != row.held:
                self._counted.held[session] = charge

    def _add(self, row: _Row, sign: int) -> None:
        fields = self._counted.fields
        if row.waits:
            asked = self._requests.get(row.request)
            if asked is not None:
                for scope in asked.scopes:
                    fields[scope][PENDING] += sign
                    for family, amount in asked.families.items():
                        fields[scope][PENDING_SLOTS + family] += sign * amount
            return
        charge = json.loads(self._charge(row))
        for kind, name in charge["scopes"]:
            for family, amount in charge["slots"].items():
                fields[Scope(kind, name)][SLOTS + family] += sign * amount

    def _charge(self, row: _Row) -> str:
        """What a placed session charges: by its request, else what is noted, in layout 1 its scopes only."""
        asked = self._requests.get(row.request)
        if asked is not None:
            return charge_text(asked)
        return row.held if _is_charge(row.held) else _of_layout_1(row.held)

    def _listed(self) -> Iterator[str]:
        for group in self._groups():
            for state in (*WAITING, *PLACED):
                yield from self._ids(self._keys.state(group, state))

    def _unseen_indexes(self) -> list[str]:
        return [self._keys.unseen(group) for group in self._groups()]

    def _groups(self) -> list[str]:
        with speaking_to(self._client):
            return sorted(cast("Iterable[str]", self._client.smembers(self._keys.groups())))

    def _ids(self, key: str) -> Iterator[str]:
        # By place, whoever leaves meanwhile would hide others; a scan meets all that stay.
        with speaking_to(self._client):
            found = list(cast("Any", self._client).zscan_iter(key, count=_PAGE))
        yield from dict(found)


def _is_charge(held: str) -> bool:
    """Whether it is what scripts write; they take anything else for what charges nothing."""
    try:
        charge = json.loads(held)
        return all(Scope(*scope) for scope in charge["scopes"]) and all(
            isinstance(amount, int) for amount in dict(charge["slots"]).values()
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _of_layout_1(held: str) -> str:
    """Then it were the scopes only; nobody can tell any more what of a spoilt one was held."""
    try:
        scopes = [[kind, name] for kind, name in json.loads(held)]
    except (ValueError, TypeError, RecursionError):
        scopes = []
    return json.dumps({"scopes": scopes, "slots": {}}, separators=(",", ":"))


class _Requests:
    """Requests by id; None where the text is lost."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._known: dict[str, Request | None] = {}

    def load(self, requests: Iterable[str]) -> None:
        """Read those that were not read before."""
        unknown = sorted(set(requests).difference(self._known))
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for request in unknown:
                pipe.hget(self._keys.request(request), "text")
            texts = pipe.execute()
        self._known |= {r: _legible(text) for r, text in zip(unknown, texts, strict=True)}

    def get(self, request: str) -> Request | None:
        """One that was read."""
        return self._known.get(request)


def _legible(text: str | None) -> Request | None:
    try:
        return parse_request_text(text or "")
    except (ValueError, TypeError, KeyError, RecursionError, InvalidInput):
        return None  # scripts take it for one that charges nothing, too
