"""What every request passes through: its id, its line in the log, its measure, its size."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.errors import BodyTooLarge
from scheduler.api.metrics import RequestMetrics
from scheduler.api.problems import REQUEST_ID, problem
from scheduler.domain.clock import Clock
from scheduler.domain.ids import new_nonce
from scheduler.observability.logs import get_logger

_GOOD_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
#: What a browser may do with an answer: nothing but read it.
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
#: A path in a log line, at most.
_SHOWN: Final = 200
#: What is not routed has no page; one label for all, or a scan of ports would fill the memory.
NO_PAGE: Final = "none"


class Observed:
    """Gives a request its id, tells of it in the log, and counts it.

    A request may bring its own id (``X-Request-ID``), so that a log line here can be found from there.
    """

    def __init__(self, app: ASGIApp, clock: Clock, metrics: RequestMetrics) -> None:
        self._app = app
        self._clock = clock
        self._metrics = metrics
        self._log = get_logger(service="api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request
        status, started = HTTPStatus.INTERNAL_SERVER_ERROR.value, self._clock.monotonic()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                message["headers"] = [*message["headers"], *_more(message["headers"], request)]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._tell(scope, status, self._clock.monotonic() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        page = page_of(scope)
        self._metrics.count(scope["method"], page, status, seconds)
        if page in ("/health", "/health/live", "/health/ready", "/metrics"):
            return  # asked every second, and no news
        key = scope["state"].get("key")
        self._log.info(
            "api.request",
            request=scope["state"]["request_id"],
            method=scope["method"],
            path=scope["path"][:_SHOWN],
            status=status,
            ms=round(seconds * 1000, 1),
            by=key.id if key else "",
        )


def page_of(scope: Scope) -> str:
    """The page that answered, as the document lists it: a label of few values."""
    route = scope.get("route")
    return str(getattr(route, "path", NO_PAGE))


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = next((value for name, value in headers if name == REQUEST_ID.encode()), b"")
    return given.decode() if _GOOD_ID.fullmatch(given) else new_nonce()


def _more(headers: Iterable[tuple[bytes, bytes]], request: str) -> list[tuple[bytes, bytes]]:
    cached = any(name == _NO_STORE[0] for name, _ in headers)
    own = [*_HEADERS, (REQUEST_ID.encode(), request.encode())]
    return own if cached else [*own, _NO_STORE]


class BodyLimit:
    """Refuses a body that is too large: by what it says of itself, or when too much of it came."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _length(scope["headers"]) <= self._limit:
            await self._app(scope, self._counted(receive), send)
            return
        refused: Any = problem(BodyTooLarge(limit=self._limit), scope)
        refused.headers["Connection"] = "close"
        await refused(scope, receive, send)

    def _counted(self, receive: Receive) -> Receive:
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                # Of all that can be raised here FastAPI lets only its own error through.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(self._limit))
            return message

        return counting


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    said = next((value for name, value in headers if name == b"content-length"), b"0")
    return int(said) if said.isdigit() else 0
