"""Posts outcomes of sessions that asked for it: one at a time per host, many hosts at once."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import redis

from scheduler.domain.callback import PATIENCE_MS, AllowedHosts
from scheduler.domain.clock import Clock, SystemClock
from scheduler.domain.errors import RecordSpoilt
from scheduler.domain.redaction import without_secrets
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.session import SessionData
from scheduler.notifications.outcome import outcome_of, post_of
from scheduler.notifications.posting import NoAnswer, NotAllowed, Poster
from scheduler.observability.logs import get_logger
from scheduler.protocol.signing import callback_key
from scheduler.service.loop import Service
from scheduler.store.callbacks import CallbackRepository, Taken, Undelivered
from scheduler.store.keys import Keys
from scheduler.store.sessions import SessionRepository

#: Hosts that a replica posts to at the same time.
AT_ONCE: Final = 32
#: Three budgets, as for subscribers: a replica that dies holds a host up for so long.
_LEASE_MS: Final = 30_000
_LOOK_EVERY_S: Final = 0.25
_LONGEST_WHY: Final = 300
#: What a host answers that is not well itself: its other callbacks wait, too.
_BUSY: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """What operators say about callbacks."""

    allowed: AllowedHosts = field(default_factory=AllowedHosts)
    patience_ms: int = PATIENCE_MS
    backoff: RetryPolicy = field(default_factory=lambda: RetryPolicy(maximum_ms=300_000))
    budget_s: float = 10.0


@dataclass(frozen=True, slots=True)
class CallbackParts:
    """What the callbacks of a replica stand on."""

    client: redis.Redis
    keys: Keys
    secret: str
    rules: CallbackRules = field(default_factory=CallbackRules)
    clock: Clock = field(default_factory=SystemClock)


class Callbacks:
    """Runs in every replica; a lane is held by the one that posts to it."""

    def __init__(self, parts: CallbackParts) -> None:
        self._parts = parts
        self._outbox = CallbackRepository(parts.client, parts.keys)
        self._sessions = SessionRepository(parts.client, parts.keys, parts.clock)
        self._loop = asyncio.new_event_loop()
        self._poster: Poster | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._taken: dict[str, Taken] = {}  #: delivered, and not noted yet
        self._service = Service("callbacks", self.run_once)
        self._log = get_logger(service="callbacks")

    def start(self) -> None:
        """Begin to post."""
        self._service.start()

    def stop(self) -> None:
        """Stop; what is on its way is given up, and posted again by another replica."""
        if self._service.stop():
            self.close()
        self._parts.client.close()

    def close(self) -> None:
        """Give up what is on its way. Only where nobody runs it any more; again is nothing."""
        if self._loop.is_closed():
            return
        self._loop.run_until_complete(self._give_up())
        self._loop.close()

    def run_once(self) -> float:
        """Post what is due; seconds until it wants to look again. Raises StoreUnavailable."""
        if not self._under_way and not self._taken and not self._outbox.anything():
            return _LOOK_EVERY_S
        return self._loop.run_until_complete(self._turn())

    async def _turn(self) -> float:
        for taken in list(self._taken.values()):
            self._note_done(taken)
        if (free := AT_ONCE - len(self._under_way)) > 0:
            for taken in self._outbox.take(free, _LEASE_MS):
                self._under_way.add(asyncio.create_task(self._deliver(taken)))
        if not self._under_way:
            return _LOOK_EVERY_S
        over, self._under_way = await asyncio.wait(
            self._under_way, timeout=_LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
        )
        raised = [error for task in over if (error := task.exception()) is not None]
        if raised:
            raise raised[0]
        return 0.0

    async def _deliver(self, taken: Taken) -> None:
        if taken.callback.entry in self._taken:
            self._note_done(taken)
            return
        failed = await self._post(taken)
        if failed is None:
            self._taken[taken.callback.entry] = taken
            self._note_done(taken)
            return
        word = self._outbox.fail(taken, failed)
        self._log.warning(
            "callback.failed",
            session=taken.callback.session,
            host=taken.callback.lane,
            says=failed.why,
            then=word,
        )

    def _note_done(self, taken: Taken) -> None:
        self._outbox.done(taken)
        self._taken.pop(taken.callback.entry, None)

    async def _post(self, taken: Taken) -> Undelivered | None:
        """None where its receiver took it; else why not, and what follows."""
        callback, parts = taken.callback, self._parts
        key = callback_key(parts.secret, parts.keys.root, callback.lane)
        told = outcome_of(callback, *self._session(callback.session))
        if self._poster is None:
            self._poster = Poster(parts.rules.allowed, parts.rules.budget_s, AT_ONCE)
        try:
            status = await self._poster.post(post_of(callback, told, key, parts.clock.now_ms()))
        except NotAllowed as error:
            return self._failed(taken, str(error), answered=True, for_good=True)
        except NoAnswer as error:
            return self._failed(taken, str(error), answered=False)
        if HTTPStatus(200) <= status < HTTPStatus(300):
            return None
        return self._failed(
            taken,
            f"{callback.lane} answered {status}",
            answered=status not in _BUSY,
            for_good=status == HTTPStatus.GONE,
        )

    def _failed(
        self, taken: Taken, why: str, *, answered: bool, for_good: bool = False
    ) -> Undelivered:
        rules, spread = self._parts.rules, random.random()  # noqa: S311 - jitter
        return Undelivered(
            why=without_secrets(why, [taken.callback.url])[:_LONGEST_WHY],
            delay=rules.backoff.delay_ms(taken.callback.failures + 1, spread),
            hold=0 if answered else max(1, rules.backoff.delay_ms(taken.lane_failures + 1, spread)),
            patience=0 if for_good else rules.patience_ms,
        )

    def _session(self, session: str) -> tuple[SessionData | None, Any]:
        found = self._sessions.many([session])
        try:
            return (found[0] if found else None), self._sessions.result(session)
        except RecordSpoilt:
            return (found[0] if found else None), None

    async def _give_up(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._poster is not None:
            await self._poster.close()
