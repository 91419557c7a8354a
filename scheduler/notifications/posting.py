"""Posts to addresses that sessions name: to allowed hosts only, within a budget, following nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from socket import SOCK_STREAM, gaierror
from typing import Any, Final

import httpcore

from scheduler.domain.callback import AllowedHosts

#: Seconds for each step of a request.
_PATIENCE_S: Final = 5.0
#: Bytes of an answer that are read, so that its connection can be used again.
_READ: Final = 16_384


class NotAllowed(Exception):
    """The host, or where it leads to, must not be posted to."""


class NoAnswer(Exception):
    """Nobody answered."""


@dataclass(frozen=True, slots=True)
class Post:
    """What is posted, and where."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Poster:
    """HTTP of one event loop, by a pool of connections."""

    def __init__(self, allowed: AllowedHosts, budget_s: float, at_once: int) -> None:
        self._budget_s = budget_s
        self._allowed = allowed
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=at_once,
            max_keepalive_connections=at_once,
            keepalive_expiry=30.0,
            network_backend=_Guarded(allowed),
        )

    async def post(self, post: Post) -> int:
        """The status that was answered. Raises NotAllowed, NoAnswer."""
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _PATIENCE_S)
        try:
            async with asyncio.timeout(self._budget_s):
                async with self._pool.stream(
                    "POST",
                    post.url,
                    headers=list(post.headers.items()),
                    content=post.body,
                    extensions={"timeout": timeouts},
                ) as answer:
                    await _drain(answer)
                    return int(answer.status)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {self._budget_s:g} s") from error
        except (httpcore.TimeoutException, httpcore.NetworkError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise NoAnswer(f"it does not speak HTTP: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


async def _drain(answer: httpcore.Response) -> None:
    got = 0
    async for chunk in answer.aiter_stream():
        got += len(chunk)
        if got > _READ:
            return


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at: what a name led to a moment ago proves nothing."""

    def __init__(self, allowed: AllowedHosts) -> None:
        self._allowed = allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface has it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if why := self._allowed.refusal_of(host, None):
            raise NotAllowed(why)
        failed: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in await _resolved(host, port):
            if why := self._allowed.refusal_of(host, address):
                raise NotAllowed(why)
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failed = error
        raise failed or httpcore.ConnectError(f"{host} leads nowhere")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolved(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host.strip("[]"), port, type=SOCK_STREAM)
    except (gaierror, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} is not known") from error
    return list(dict.fromkeys(str(row[4][0]) for row in found))
