"""A tiny HTTP server for what a process tells of itself: health and metrics."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from scheduler.domain.errors import Refused
from scheduler.observability import metrics

#: A reader that is slower than this has gone.
READ_TIMEOUT_S = 10.0


def health_facts(service: str, why: str, **more: Any) -> dict[str, Any]:
    """What every process of ours says of its health.

    ``service`` is replica, agent or api. It is ``alive`` as it answers; ``why`` is a sentence about
    what keeps it from its work, and empty where it is ``ready``.
    """
    return {"service": service, "alive": True, "ready": not why, "why": why, **more}


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    media_type: str = "application/json"


def pages(
    health: Callable[[], Mapping[str, Any]], exposition: Callable[[], bytes]
) -> dict[str, Callable[[], Page]]:
    """The pages of a process, from its ``health_facts`` and its metrics.

    ``/health/live`` is 200 as long as anything answers; ``/health/ready`` and ``/health`` are 503
    while ``health()["ready"]`` is false.
    """

    def ready() -> Page:
        facts = health()
        status = HTTPStatus.OK if facts["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
        return Page(_json(facts), status)

    return {
        "/health": ready,
        "/health/ready": ready,
        "/health/live": lambda: Page(_json({"alive": True})),
        "/metrics": lambda: Page(exposition(), media_type=metrics.MEDIA_TYPE),
    }


class StatusServer:
    """Serves pages on one address until it is stopped. Raises OSError for one that is taken."""

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Callable[[], Page]]) -> None:
        self._server = _Server(address, _handler(pages))
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="http",
            daemon=True,
        )

    @property
    def url(self) -> str:
        """Where it is; a port asked as 0 is known here."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_pages(address: tuple[str, int], pages: Mapping[str, Callable[[], Page]]) -> StatusServer:
    """A server that answers already. Raises Refused for an address that cannot be had."""
    try:
        server = StatusServer(address, pages)
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        raise Refused(why=f"{where} cannot be listened on: {error.strerror or error}") from error
    server.start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, *_: object) -> None:
        """A reader that hung up is none of our business."""


def _handler(pages: Mapping[str, Callable[[], Page]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = READ_TIMEOUT_S

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            page = pages.get(urlsplit(self.path).path, _nothing)()
            self.send_response(page.status)
            self.send_header("Content-Type", page.media_type)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            if with_body:
                self.wfile.write(page.body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not news."""

    return Handler


def _nothing() -> Page:
    return Page(_json({"error": "there is no such page"}), HTTPStatus.NOT_FOUND)


def _json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts).encode()
