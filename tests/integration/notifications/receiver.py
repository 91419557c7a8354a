"""A receiver over real HTTP that fails, hangs and comes back as a test says."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """A server that keeps what is posted, and answers as the test says."""

    def __init__(self, protocol: str = "HTTP/1.0") -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.asked = 0  #: requests, refused ones among them
        self.free = threading.Event()  #: while it is not set, it says nothing
        self.free.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = protocol

            def do_POST(self) -> None:
                receiver.asked += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.free.wait(60)
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status < 300:
                    receiver.bodies.append(body)
                    receiver.headers.append(dict(self.headers.items()))
                    receiver.got.append(json.loads(body))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Who gave up waiting is gone when the answer comes."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def names(self) -> list[str]:
        return [event["type"] for event in self.got]

    def close(self) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
