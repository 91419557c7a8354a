"""What a leader reads and writes: its term, its batches of moves, the streams that wake it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import redis

from scheduler.domain.errors import Deposed, GroupNotFound, NoLeader
from scheduler.domain.states import PLACED, SessionState
from scheduler.domain.term import Term
from scheduler.store import streams
from scheduler.store.connection import speaking_to
from scheduler.store.glance import Glance
from scheduler.store.keys import Keys
from scheduler.store.placing import Applying, batch_of
from scheduler.store.reading import Row, read_fields
from scheduler.store.script import Line, Script, Sent
from scheduler.store.waiting import Waiting, read_spoilt, read_waiting

# Thirty classes that every command would make: only the leader has any moves to write.
if TYPE_CHECKING:
    from scheduler.domain.moves import Keep, Move, Place

_APPLY = Script.load("leader/apply")
_PLACE = Script.load("leader/place")
_ACQUIRE = Script.load("leader/acquire")
_ELECT = Script.load("leader/elect")
_CONNECTION = Script.load("leader/connection")
_TURN = Script.load("leader/turn")
_RESIGN = Script.load("leader/resign")
_UNSEAT = Script.load("leader/unseat")
_ASK_RESIGN = Script.load("leader/ask_resign")
_ASK_PROCESS = Script.load("leader/ask_process")

#: As lib/announce.lua has it; the cap is kept to whole nodes, so never fewer entries are left.
INBOX_CAP = 20_000


@dataclass(frozen=True, slots=True)
class Heard:
    """What woke the leader."""

    inbox: Sequence[streams.Entry]
    reports: Sequence[streams.Entry]


class LeaderStore:
    """The store of one term. Every write is fenced by it and raises Deposed once it is over."""

    def __init__(self, client: redis.Redis, blocking: redis.Redis, keys: Keys, term: Term) -> None:
        self._client = client
        self._blocking = blocking
        self._keys = keys
        self._line = Line(client)  #: of placements
        self.term = term

    def apply(
        self,
        moves: Sequence[Move],
        *,
        cursor: tuple[str, str] | None = None,
        inbox: str = "",
    ) -> list[str]:
        """Write a batch of moves; the word each was answered. At most 200 moves.

        With ``cursor`` = (from, to), they are the consequence of reports up to ``to``, and applied
        only if the cursor still stands at ``from``; a repeat answers ``already`` for each.
        Raises Deposed, StoreUnavailable.
        """
        before, after = cursor or ("", "")
        with speaking_to(self._client):
            word, *words = _APPLY(
                self._client,
                self._keys.root,
                **self._fence(inbox),
                cursor_from=before,
                cursor_to=after,
                ops=[move.wire() for move in moves],
            )
        return self._taken(word, words, len(moves))

    def pack_place(
        self,
        placements: Sequence[Place],
        keeps: Sequence[Keep],
        rq_job: Sequence[str],
        *,
        inbox: str = "",
    ) -> Applying:
        """A batch of placements, made ready to be sent."""
        packed = _PLACE.pack(
            self._keys.root,
            **self._fence(inbox),
            rq_job=rq_job,
            batch=batch_of(placements),
            keeps=[keep.wire() for keep in keeps],
        )

        def send() -> Sent:
            with speaking_to(self._client):
                return self._line.send(_PLACE, packed)

        def take(sent: Sent) -> list[str]:
            with speaking_to(self._client):
                word, *rest = sent.answer()
            return self._taken(word, rest, len(placements))

        return Applying(send, take)

    def _fence(self, inbox: str) -> dict[str, str]:
        return {
            "group": self.term.group,
            "nonce": self.term.nonce,
            "term": str(self.term.number),
            "inbox": inbox,
        }

    def _taken(self, word: str, words: list[str], count: int) -> list[str]:
        if word == "deposed":
            raise Deposed(term=self.term.number, group=self.term.group)
        return ["already"] * count if word == "already" else words

    def cursor(self) -> str:
        """Up to which report everything was applied.

        Beyond the end of the stream nothing can have been applied: the stream was deleted or put
        back, and is read from its beginning. What is heard twice by that changes nothing.
        """
        group = self.term.group
        with speaking_to(self._client):
            stored = cast("str", self._client.hget(self._keys.leadership(group), "cursor") or "0-0")
            last = streams.last_id(self._client, self._keys.reports(group))
        return "0-0" if streams.number(stored) > streams.number(last) else stored

    def now_ms(self) -> int:
        """Redis' time."""
        with speaking_to(self._client):
            seconds, micros = self._client.time()
        return seconds * 1000 + micros // 1000

    def server_identity(self) -> str:
        """The Redis that the group's leaders saw last, or ""."""
        with speaking_to(self._client):
            found = self._client.hget(self._keys.group(self.term.group), "server")
        return cast("str | None", found) or ""

    def kept(self, selector: str) -> str | None:
        """What a selector of the group kept last, or with scheduler: before its name a scheduler."""
        with speaking_to(self._client):
            found = self._client.hget(self._keys.selector(self.term.group), selector)
        return cast("str | None", found)

    def inbox_cursor(self) -> str:
        """Where to go on listening: behind what the last leader acted on, else with what comes now.

        With what comes now, too, where the cursor is not of this stream, or what followed it was
        trimmed away: whoever asks loads everything afterwards.
        """
        stream = self._keys.inbox(self.term.group)
        with speaking_to(self._client):
            stored = self._client.hget(self._keys.leadership(self.term.group), "inbox")
            last = streams.last_id(self._client, stream)
        lost = stored and streams.number(cast("str", stored)) > streams.number(last)
        if not stored or lost or self.inbox_overran(cast("str", stored)):
            return last
        return cast("str", stored)

    def inbox_overran(self, cursor: str) -> bool:
        """Whether entries behind the cursor were dropped unread: nobody led, or it fell far behind.

        A leader trims what is before its cursor and leaves the entry itself; only the cap takes that.
        """
        stream = self._keys.inbox(self.term.group)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.xlen(stream)
            pipe.xrange(stream, count=1)
            length, first = pipe.execute()
        return length >= INBOX_CAP and streams.number(first[0][0]) > streams.number(cursor)

    def listen(self, inbox: str, reports: str, *, timeout: float, limit: int = 200) -> Heard:
        """Entries after the given ids; waits up to ``timeout`` s (at most 4) for the first."""
        after = {
            self._keys.inbox(self.term.group): inbox,
            self._keys.reports(self.term.group): reports,
        }
        with speaking_to(self._blocking):
            found = streams.read(self._blocking, after, timeout=timeout, limit=limit)
        return Heard(*[found.get(name, []) for name in after])

    def trim_inbox(self, read_up_to: str) -> None:
        """Drop inbox entries that were read; followers need none, they load state."""
        with speaking_to(self._client):
            self._client.xtrim(
                self._keys.inbox(self.term.group), minid=read_up_to, approximate=True
            )

    def placed_ids(self) -> list[str]:
        """Ids of all sessions in SCHEDULED .. TERMINATING."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for state in PLACED:
                pipe.zrange(self._keys.state(self.term.group, state), 0, -1)
            return [session for ids in pipe.execute() for session in ids]

    def ready_page(self, after: str | None, limit: int) -> list[tuple[str, float]]:
        """READY sessions in the order of the queue, after a score; (id, score)."""
        key = self._keys.state(self.term.group, SessionState.READY)
        with speaking_to(self._client):
            return cast(
                "list[tuple[str, float]]",
                self._client.zrangebyscore(
                    key, f"({after}" if after else "-inf", "+inf", 0, limit, withscores=True
                ),
            )

    def ready_count(self) -> int:
        """How many sessions are READY."""
        with speaking_to(self._client):
            return self._client.zcard(self._keys.state(self.term.group, SessionState.READY))

    def waiting(self, ids: Sequence[str]) -> list[Waiting]:
        """The READY ones among the given sessions; those whose record makes no sense left out."""
        return read_waiting(self._client, self._keys, ids)

    def spoilt(self, ids: Sequence[str]) -> dict[str, str]:
        """What is wrong with those that are listed as READY and make no sense; see `read_spoilt`."""
        return read_spoilt(self._client, self._keys, self.term.group, ids)

    def due(self, limit: int = 200) -> tuple[int, list[str], int | None]:
        """Redis' time in ms, sessions whose timer is due, and when the next one will be."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self._keys.timers(self.term.group), 0, limit, withscores=True)
            (seconds, micros), timers = pipe.execute()
        now = seconds * 1000 + micros // 1000
        due = [session for session, at in timers if at <= now]
        return now, due[:limit], next((int(at) for _, at in timers if at > now), None)

    def unresolved(self, limit: int = 100) -> list[str]:
        """Ended sessions whose dependents are still to be told."""
        with speaking_to(self._client):
            return cast(
                "list[str]", self._client.zrange(self._keys.resolve(self.term.group), 0, limit - 1)
            )

    def noted(self) -> list[str]:
        """Requests of which a refusal is noted, by whatever term."""
        key = self._keys.verdicts(self.term.group)
        with speaking_to(self._client):
            found = cast("Any", self._client).hscan_iter(key, count=500)
            return [request for request, _ in found]

    def read(self, ids: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """Some fields of sessions' records; see `read_fields`."""
        return read_fields(self._client, self._keys, ids, fields)


class LeadershipRepository:
    """Terms as replicas and operators see them. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._glance = Glance(client)

    def over(self, client: redis.Redis) -> LeadershipRepository:
        """The same, over the connections of another client."""
        return LeadershipRepository(client, self._keys)

    def look_anew(self) -> None:
        """Leave the server that was read: where Sentinel watches, another one may be primary."""
        self._client.connection_pool.disconnect()

    def acquire(self, group: str, nonce: str, ttl_ms: int) -> bool:
        """Take the lock on a full Redis, which refuses the way of the lock's library."""
        with speaking_to(self._client):
            arguments = {"group": group, "nonce": nonce, "ttl_ms": ttl_ms}
            return bool(_ACQUIRE(self._client, self._keys.root, **arguments)[0] == "acquired")

    def elect(self, group: str, nonce: str, holder: str, connection: str) -> Term | None:
        """Begin a term for who holds the lock; None when somebody else does."""
        with speaking_to(self._client):
            arguments = {"nonce": nonce, "holder": holder, "connection": connection}
            word, *rest = _ELECT(self._client, self._keys.root, group=group, **arguments)
        return Term(group, int(rest[0]), nonce, holder) if word == "elected" else None

    def publish_connection(self, group: str, nonce: str, connection: str) -> None:
        """Note the renewal connection anew."""
        with speaking_to(self._client):
            _CONNECTION(
                self._client, self._keys.root, group=group, nonce=nonce, connection=connection
            )

    def note_turn(self, group: str, nonce: str, ms: int) -> None:
        """Note for how long the leader's turn has gone on; 0 where that is as it should be."""
        with speaking_to(self._client):
            _TURN(self._client, self._keys.root, group=group, nonce=nonce, ms=str(ms))

    def resign(self, term: Term, why: str) -> None:
        """Note that the term ended by itself."""
        with speaking_to(self._client):
            _RESIGN(self._client, self._keys.root, group=term.group, nonce=term.nonce, why=why)

    def unseat(self, group: str, nonce: str) -> bool:
        """Delete the lock of a leader whose process is gone."""
        with speaking_to(self._client):
            return bool(
                _UNSEAT(self._client, self._keys.root, group=group, nonce=nonce)[0] == "unseated"
            )

    def show(self, group: str) -> dict[str, str]:
        """The stored facts of the current or last term; ``lock`` is the live lock value, or ""."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._keys.leadership(group))
            pipe.get(self._keys.lock(group))
            facts, lock = pipe.execute()
        return {**facts, "lock": lock or ""}

    def leads_still(self, group: str, nonce: str, client_id: str, name: str) -> bool:
        """Whether the lock is this one's and its connection lives; False where that is not certain.

        For one thread, which looks often.
        """
        found = self._glance.at(
            ("GET", self._keys.lock(group)), ("CLIENT", "LIST", "ID", client_id)
        )
        if found is None:
            return False
        lock, listed = found
        return bool(lock == nonce and f" name={name} " in str(listed))

    def connection_alive(self, client_id: str, name: str) -> bool:
        """Whether the server still has this connection: id and name must both match."""
        with speaking_to(self._client):
            found = self._client.client_list(client_id=[client_id])
        return any(
            str(client.get("name")) == name for client in cast("list[Mapping[str, object]]", found)
        )

    def ask_resign(self, group: str) -> tuple[str, str]:
        """Ask the leader to hand over; its (term, holder). Raises GroupNotFound, NoLeader."""
        with speaking_to(self._client):
            word, *rest = _ASK_RESIGN(self._client, self._keys.root, group=group)
        if word == "unknown_group":
            raise GroupNotFound(group=group, known="see `scheduler group list`")
        if word == "no_leader":
            raise NoLeader(group=group)
        return rest[0], rest[1]

    def ask_process(self, group: str, office: str) -> str:
        """Ask the leader to decide an office's jobs anew ("*" is every office); a mark for `has_acted`.

        Raises GroupNotFound, NoLeader.
        """
        with speaking_to(self._client):
            word, *rest = _ASK_PROCESS(self._client, self._keys.root, group=group, office=office)
        if word == "unknown_group":
            raise GroupNotFound(group=group, known="see `scheduler group list`")
        if word == "no_leader":
            raise NoLeader(group=group)
        return str(rest[0])

    def has_acted(self, group: str, mark: str) -> bool:
        """Whether the leader has done what it was asked."""
        with speaking_to(self._client):
            found = self._client.hget(self._keys.leadership(group), "inbox")
        return streams.number(cast("str", found or "0-0")) >= streams.number(mark)
