"""The socket that the API listens on."""

from __future__ import annotations

import asyncio
import socket

from scheduler.api.serving import listen


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """J7: asyncio turns Nagle's algorithm off for sockets that name their protocol, and no others."""
    listener = listen("127.0.0.1", 0)

    async def is_at_once() -> bool:
        found = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(answer, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            said = await found
            writer.close()
            return bool(said)

    assert asyncio.run(is_at_once())
