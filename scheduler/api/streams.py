"""Streams: how many there may be, how they wait, and how they end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from sse_starlette import EventSourceResponse
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from scheduler.api.errors import TooManyStreams, TooManyStreamsOfKey
from scheduler.domain.api_key import ApiKey
from scheduler.domain.clock import Clock
from scheduler.domain.errors import KeyRefused, StoreUnavailable

T = TypeVar("T")

#: How often it is asked whether the key of an open stream is good still, s.
CHECKED_S: Final = 1.0


class Streams:
    """The open streams of a process; each has a thread of its own while it waits.

    They do not share threads with the short requests: a hundred who wait for something to happen
    must not keep anybody else waiting. Of one key there are so many at most, or it could take all of
    them from everybody.
    """

    def __init__(
        self, limit: int, per_key: int, clock: Clock, check: Callable[[ApiKey], None]
    ) -> None:
        """``check`` raises KeyRefused for a key that is no longer good."""
        self._limit = limit
        self._per_key = per_key
        self._clock = clock
        self._check = check
        self._threads = CapacityLimiter(limit)
        self._stopping = asyncio.Event()
        self.open = 0
        self._of_key: Counter[str] = Counter()

    @property
    def stopping(self) -> bool:
        """Whether all streams are to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Let all streams end, as the process does."""
        self._stopping.set()

    async def stopped(self) -> None:
        """Wait until all streams are to end."""
        await self._stopping.wait()

    def taken(self, key: ApiKey) -> Stream:
        """Open one for a key. Raises TooManyStreamsOfKey, TooManyStreams."""
        if self._of_key[key.id] >= self._per_key:
            raise TooManyStreamsOfKey(key=key.id or "of nobody", limit=self._per_key)
        if self.open >= self._limit or self._stopping.is_set():
            raise TooManyStreams(limit=self._limit)
        self.open += 1
        self._of_key[key.id] += 1
        return Stream(self, key, self._clock.monotonic())

    def give_back(self, key: str) -> None:
        """One of a key is over."""
        self.open -= 1
        self._of_key[key] -= 1
        if not self._of_key[key]:
            del self._of_key[key]

    async def check(self, key: ApiKey, checked_at: float) -> float:
        """When a key was last good: asked anew where that was a while ago. Raises KeyRefused, StoreUnavailable."""
        now = self._clock.monotonic()
        if now - checked_at < CHECKED_S:
            return checked_at
        await self.call(lambda: self._check(key))
        return now

    async def call(self, work: Callable[[], T]) -> T:
        """Run something that waits, in a thread for streams; a reader who left does not wait for it."""
        return await run_sync(work, limiter=self._threads, abandon_on_cancel=True)


class Stream:
    """One open stream: given back where its answer never begins, and else when that is over."""

    def __init__(self, streams: Streams, key: ApiKey, now: float) -> None:
        self._streams = streams
        self._key = key
        self._checked_at = now
        self._answered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._answered:
            self.give_back()

    def answered(self, response: R) -> R:
        """From now on the answer holds it."""
        self._answered = True
        response.stream = self
        return response

    async def check(self) -> None:
        """Look whether its key is good still: what is opened once would else be read for ever.

        Raises KeyRefused, StoreUnavailable.
        """
        self._checked_at = await self._streams.check(self._key, self._checked_at)

    def give_back(self) -> None:
        """It is over."""
        self._streams.give_back(self._key.id)


class _Held(Response):
    """An answer that gives its stream back, whoever ends it."""

    stream: Stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.stream.give_back()


class TextStream(_Held, StreamingResponse):
    """Text as it comes; without its end where it cannot go on, so that nobody takes it for all there is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(KeyRefused, StoreUnavailable):
            await super().__call__(scope, receive, send)


class EventStream(_Held, EventSourceResponse):
    """Server-sent events as they come, and comments while none do."""


R = TypeVar("R", bound=_Held)
