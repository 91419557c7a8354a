"""Who may come in: every request below /api, and /metrics, shows a key; and not too often.

It stands before routing and before any body is read, so that a page nobody thought of is closed too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from limits import RateLimitItem
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.errors import ForeignOrigin, TooManyRequests
from scheduler.api.problems import problem
from scheduler.auth.keys import ApiKeys
from scheduler.domain.api_key import ApiKey, Role
from scheduler.domain.clock import Clock
from scheduler.domain.errors import InvalidSetting, KeyRefused, SchedulerError

CLOSED: Final = ("/api/", "/metrics")
#: How long a verdict on a key is believed: a revoked one stops within a second.
BELIEVED_S: Final = 0.5
#: How often a key that is used is noted as used.
NOTED_S: Final = 60.0
#: Keys whose verdicts are kept at once.
_KEPT: Final = 1_000
#: Who asks where nobody shows a key.
NOBODY: Final = ApiKey("", Role.ADMIN)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class Rate:
    """So many requests per key and window of time, counted by this process.

    The library that reads the rate would count, too, with a thread for each hundredth of a second in
    which somebody asks: that was a tenth of a request.
    """

    def __init__(self, rate: RateLimitItem, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._window = 0
        self._asked: Counter[str] = Counter()

    def hit(self, key: ApiKey) -> None:
        """Count one request. Raises TooManyRequests."""
        now, length = self._clock.monotonic(), self._rate.get_expiry()
        if self._window != (window := int(now / length)):
            self._window = window
            self._asked.clear()
        self._asked[key.id] += 1
        if self._asked[key.id] > self._rate.amount:
            seconds = max(1, math.ceil((window + 1) * length - now))
            who = key.id or "of nobody"
            raise TooManyRequests(key=who, rate=str(self._rate), seconds=seconds)


class Verdicts:
    """Which keys are good, asked of Redis, and believed for half a second."""

    def __init__(self, keys: ApiKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._known: dict[str, tuple[float, ApiKey]] = {}
        self._noted: dict[str, float] = {}

    async def of(self, text: str) -> ApiKey:
        """The key a request shows. Raises KeyRefused, StoreUnavailable."""
        now = self._clock.monotonic()
        found = self._known.get(text)
        if found is not None and now < found[0]:
            return found[1]
        key = await run_in_threadpool(self._ask, text, now)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[text] = (now + BELIEVED_S, key)
        return key

    def _ask(self, text: str, now: float) -> ApiKey:
        key = self._keys.recognise(text)
        if now >= self._noted.get(key.id, 0.0):
            self._noted[key.id] = now + NOTED_S
            self._keys.used(key)
        return key


class Guard:
    """Lets in who may come in; ``scope["state"]["key"]`` says who it is.

    Without ``verdicts`` everybody may, from pages of this machine: for one developer, on loopback.
    """

    def __init__(
        self, app: ASGIApp, verdicts: Verdicts | None, rate: Rate, check: Callable[[], None]
    ) -> None:
        """``check`` refuses a Redis that is not ours; it is asked until it has once refused nothing."""
        self._app = app
        self._verdicts = verdicts
        self._rate = rate
        self._check = check
        self._checked = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(CLOSED):
            try:
                scope["state"]["key"] = await self._admitted(scope)
                _refuse_slashes(scope)
            except SchedulerError as error:
                await problem(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _admitted(self, scope: Scope) -> ApiKey:
        if not self._checked:
            await run_in_threadpool(self._check)
            self._checked = True
        if self._verdicts is None:
            _refuse_other_pages(scope["headers"])
            key = NOBODY
        else:
            key = await self._verdicts.of(_bearer(scope["headers"]))
        self._rate.hit(key)
        return key


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    shown = [value for name, value in headers if name == b"authorization"]
    if not shown:
        raise KeyRefused(
            why="it shows no API key; send the header Authorization: Bearer sk_ID_SECRET"
        )
    scheme, _, text = shown[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or len(shown) > 1:
        raise KeyRefused(why="what it shows is not one header Authorization: Bearer sk_ID_SECRET")
    return text.strip()


def _refuse_slashes(scope: Scope) -> None:
    """A name with a slash in it would be taken for two, and lead to another page."""
    raw = scope.get("raw_path") or b""
    if b"%2f" in raw.lower():
        raise InvalidSetting(
            name="name",
            problem="it has a slash in it (%2F); names have letters, digits, _ and - only",
        )


def _refuse_other_pages(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """A page somewhere in the web can make a browser here ask 127.0.0.1, too, under any name."""
    found = dict(headers)
    host = found.get(b"host", b"").decode("latin-1")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    origin = found.get(b"origin", b"").decode("latin-1")
    if name not in _LOOPBACK:
        raise ForeignOrigin(origin=name[:64] or "nowhere")
    if origin and origin.partition("://")[2] != host:
        raise ForeignOrigin(origin=origin[:64])
