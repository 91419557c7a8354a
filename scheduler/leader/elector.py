"""Stands for election in one group, holds the lock while it leads, and knows how long that can be trusted.

The lock is python-redis-lock's, used as its traps demand: a fresh Lock per term with a nonce of our
own, never blocking, never auto-renewed (its renewal thread dies silently when the lock is lost).
"""

from __future__ import annotations

from dataclasses import dataclass

import redis
from redis.exceptions import OutOfMemoryError
from redis_lock import Lock, NotAcquired, NotExpirable

from scheduler.domain.clock import Clock
from scheduler.domain.errors import StoreUnavailable
from scheduler.domain.ids import new_nonce
from scheduler.domain.term import Term
from scheduler.observability.logs import get_logger
from scheduler.store.connection import connect, speaking_to
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.retrying import NEVER

#: Taken off the TTL when trusting it, for the way of a write to Redis.
_MARGIN_S = 0.2


@dataclass(frozen=True, slots=True)
class ElectorSettings:
    """Times in ms."""

    redis_url: str
    namespace: str
    holder: str
    ttl_ms: int


class Tenure:
    """One held lock: renewed from outside, trusted for a while counted from before each request.

    All that is said of the term goes over the lock's own connection. During a failover another one
    may still be with the old primary.
    """

    def __init__(  # noqa: PLR0913 - the parts of one term
        self,
        client: redis.Redis,
        leadership: LeadershipRepository,
        lock: Lock,
        term: Term,
        clock: Clock,
        trusted_until: float,
    ) -> None:
        self._client = client
        self.leadership = leadership
        self._lock = lock
        self._clock = clock
        self._trusted_until = trusted_until
        self.term = term
        self.over = False

    def trusted(self) -> bool:
        """Whether the lock is certainly still ours."""
        return not self.over and self._clock.monotonic() < self._trusted_until

    def renew(self, ttl_s: float) -> None:
        """Compare and extend. A lock that is not ours any more ends the tenure."""
        asked = self._clock.monotonic()
        try:
            with speaking_to(self._client):
                self._lock.extend()
        except (NotAcquired, NotExpirable):
            self.over = True
            return
        except StoreUnavailable:
            # Not known to be lost: trusted until the TTL, counted from before the last success.
            return
        self._trusted_until = asked + ttl_s - _MARGIN_S

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        self.over = True
        try:
            with speaking_to(self._client):
                self._lock.release()
        except (NotAcquired, StoreUnavailable):
            pass

    def connection_id(self) -> str:
        """The id of the renewal connection as the server knows it now."""
        with speaking_to(self._client):
            return str(self._client.client_id())

    def close(self) -> None:
        """Close the renewal connection, by which followers see that this leader is gone."""
        self._client.close()


class Elector:
    """One replica's candidacy in one group."""

    def __init__(
        self, group: str, settings: ElectorSettings, leadership: LeadershipRepository, clock: Clock
    ) -> None:
        self._group = group
        self._settings = settings
        self._leadership = leadership
        self._clock = clock
        self._keys = Keys(settings.namespace)
        self._gone: str = ""
        self._seen: tuple[str, str, str] | None = None  #: the leader that was found alive at last
        self._published = ""
        self._log = get_logger(group=group, replica=settings.holder)
        self.tenure: Tenure | None = None

    def stand(self) -> Tenure | None:
        """Take the leadership if it is free, or its holder's process is gone; None when somebody leads."""
        if self._seen and self._leadership.leads_still(self._group, *self._seen):
            return None
        self._seen = None
        facts = self._leadership.show(self._group)
        if facts["lock"] and not self._holder_is_gone(facts):
            return None
        return self._acquire()

    def _holder_is_gone(self, facts: dict[str, str]) -> bool:
        """Whether the leader's named connection was missing in two looks, and its lock is deleted.

        Only a connection that vanished tells that; a stopped or cut-off leader keeps its own, and
        is waited for until the TTL. The fence makes a wrong judgement harmless.
        """
        nonce, connection = facts["lock"], facts.get("connection", "")
        if facts.get("nonce") != nonce or not connection:
            return False
        if self._leadership.connection_alive(connection, connection_name(nonce)):
            self._gone, self._seen = "", (nonce, connection, connection_name(nonce))
            return False
        if self._gone != nonce:
            self._gone = nonce
            return False
        self._gone = ""
        if self._leadership.unseat(self._group, nonce):
            self._log.warning("leader.unseated", term=facts.get("term"), holder=facts.get("holder"))
            return True
        return False

    def _acquire(self) -> Tenure | None:
        nonce = new_nonce()
        client = connect(
            self._settings.redis_url, policy=NEVER, timeout=1.0, name=connection_name(nonce)
        )
        try:
            tenure = self._begin(client, nonce)
        except StoreUnavailable:
            client.close()
            raise
        if tenure is None:
            client.close()
            # Free where we looked, held where we asked: perhaps these are two servers.
            self._leadership.look_anew()
        return tenure

    def _begin(self, client: redis.Redis, nonce: str) -> Tenure | None:
        asked = self._clock.monotonic()
        leadership = self._leadership.over(client)
        with speaking_to(client):
            lock = Lock(
                client,
                self._keys.lock_name(self._group),
                expire=self._settings.ttl_ms // 1000,
                id=nonce,
            )
            if not self._take(lock, leadership, nonce):
                return None
            connection = str(client.client_id())
        term = leadership.elect(self._group, nonce, self._settings.holder, connection)
        if term is None:
            return None
        self._published = connection
        trusted_until = asked + self._settings.ttl_ms / 1000 - _MARGIN_S
        self.tenure = Tenure(client, leadership, lock, term, self._clock, trusted_until)
        self._log.info("leader.elected", term=term.number)
        return self.tenure

    def _take(self, lock: Lock, leadership: LeadershipRepository, nonce: str) -> bool:
        """Take the lock, or not, at once.

        Lock order: it is the only lock there is in Redis, one per group; whoever holds it takes no
        other, here or in what a term does. Time limits: each request ends after 1 s without a retry;
        the lock lives for the TTL from its last renewal, and is trusted for ``_MARGIN_S`` less.
        """
        try:
            # A lost answer makes acquire() say False although the key is ours.
            return bool(lock.acquire(blocking=False)) or lock.get_owner_id() == nonce
        except OutOfMemoryError:
            return leadership.acquire(self._group, nonce, self._settings.ttl_ms)

    def renew(self) -> bool:
        """Renew the lock; publish the connection anew when it changed; whether Redis answered."""
        tenure = self.tenure
        if tenure is None or tenure.over:
            return True
        tenure.renew(self._settings.ttl_ms / 1000)
        if not tenure.trusted():
            return tenure.over
        try:
            connection = tenure.connection_id()
        except StoreUnavailable:
            return False
        if connection != self._published:
            tenure.leadership.publish_connection(self._group, tenure.term.nonce, connection)
            self._published = connection
        return True

    def note_turn(self, ms: int) -> None:
        """Tell for how long the term's turn has gone on, 0 for not too long. Raises StoreUnavailable."""
        tenure = self.tenure
        if tenure is not None and tenure.trusted():
            tenure.leadership.note_turn(self._group, tenure.term.nonce, ms)

    def resign(self, why: str) -> None:
        """End the tenure, out loud where Redis answers."""
        tenure, self.tenure = self.tenure, None
        if tenure is None:
            return
        if tenure.trusted():
            try:
                tenure.leadership.resign(tenure.term, why)
            except StoreUnavailable:
                self._log.warning("leader.resigned_unheard", why=why)
        tenure.release()
        tenure.close()


def connection_name(nonce: str) -> str:
    """What the renewal connection is called: the id alone begins again with every start of Redis."""
    return f"leader-{nonce}"
