"""Serves the API in this process, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from scheduler.api.streams import Streams
from scheduler.domain.errors import Refused
from scheduler.observability.logs import get_logger

#: How long requests may take to end after SIGTERM, s; streams end at once.
GRACE_S: Final = 5
_BACKLOG: Final = 1_024


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that is listened on. Raises Refused for an address that is taken, or not ours."""
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio leaves Nagle's algorithm on: each answer would wait 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        why = f"{host}:{port} cannot be listened on: {error.strerror or error}"
        raise Refused(why=why) from error
    return found


class ApiServer(uvicorn.Server):
    """A server that tells when it answers, and ends its streams when it is to end itself."""

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._listener = listener
        self._streams: Streams = app.state.streams
        self._loop: asyncio.AbstractEventLoop | None = None
        self._log = get_logger(service="api")

    @property
    def url(self) -> str:
        """Where it is; a port asked as 0 is known here."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve_until_stopped(self) -> None:
        """Answer until a signal comes, or ``stop`` is called."""
        self.run(sockets=[self._listener])

    def stop(self) -> None:
        """End: no new requests, no streams, a few seconds for what is being answered. From any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._streams.stop)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the same; a second one does not wait for anybody."""
        super().handle_exit(sig, frame)
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._log.info("api.started", url=self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        self._log.info("api.stopping", streams=self._streams.open)
        await super().shutdown(sockets)
