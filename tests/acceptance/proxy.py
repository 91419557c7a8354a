"""A TCP proxy that can cut a process off from Redis, and let it come back."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import cast


class Proxy:
    """Passes bytes to a port on loopback until it is cut; while it is cut, nothing passes."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._through = threading.Event()
        self._through.set()
        self._ended = threading.Event()
        self._lost: bytes | None = None
        self.losses_left = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Let nothing pass: connections stay open and are silent, as behind a broken switch."""
        self._through.clear()

    def mend(self) -> None:
        """Let everything pass again."""
        self._through.set()

    def lose_answers_to(self, words: bytes, *, times: int) -> None:
        """Forward requests with these words, and hang up instead of passing what is answered."""
        self._lost, self.losses_left = words, times

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._through.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                continue
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        other, doomed = {near: far, far: near}, False
        with contextlib.suppress(OSError), near, far, selectors.DefaultSelector() as selector:
            for end in other:
                selector.register(end, selectors.EVENT_READ)
            while not self._ended.is_set():
                for ready, _ in selector.select(timeout=0.5):
                    end = other[other[cast("socket.socket", ready.fileobj)]]
                    data = end.recv(65_536)
                    self._through.wait()
                    if not data or (doomed and end is far):
                        return
                    if end is near and self.losses_left and self._lost and self._lost in data:
                        self.losses_left, doomed = self.losses_left - 1, True
                    other[end].sendall(data)
