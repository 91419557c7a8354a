"""What the kernels of a gang run: programs that need their peers."""

import json
import os
import socket
import threading
from pathlib import Path

from tests.acceptance.kernels import note

_PATIENCE_S = 60.0


def exchange(base: int) -> dict[str, object]:
    """Pass a token through all ranks, each adding itself; rank 0 answers what came back to it."""
    rank, size = int(os.environ["CLUSTER_RANK"]), int(os.environ["CLUSTER_SIZE"])
    hosts = os.environ["CLUSTER_HOSTS"].split(",")
    if rank == 0:
        note("start", "exchange")
    with socket.create_server((hosts[rank], base + rank)) as listening:
        listening.settimeout(_PATIENCE_S)
        token: list[int] = [] if rank == 0 else receive(listening)
        after = (rank + 1) % size
        send(hosts[after], base + after, [*token, rank])
        token = receive(listening) if rank == 0 else token
    if rank == 0:
        note("end", "exchange")
    return {"token": token, "role": os.environ["CLUSTER_ROLE"], "hosts": hosts}


def receive(listening: socket.socket) -> list[int]:
    """The token from the rank before."""
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as stream:
        return [int(rank) for rank in json.loads(stream.read())]


def send(host: str, port: int, token: list[int]) -> None:
    """Give the token on; the next rank may not listen yet."""
    wait = threading.Event()
    for _ in range(int(_PATIENCE_S / 0.05)):
        try:
            with socket.create_connection((host, port), timeout=_PATIENCE_S) as connection:
                connection.sendall(json.dumps(token).encode())
                return
        except ConnectionRefusedError:
            wait.wait(0.05)
    raise TimeoutError(f"rank at port {port} never listened")


def hold(folder: str) -> None:
    """Say which process this is, and stay."""
    rank = os.environ["CLUSTER_RANK"]
    if rank == "0":
        note("start", "hold")
    Path(folder, f"rank{rank}.new").write_text(str(os.getpid()))
    Path(folder, f"rank{rank}.new").rename(Path(folder, f"rank{rank}"))
    threading.Event().wait()


def hold_then_exchange(folder: str, base: int) -> dict[str, object] | None:
    """Stay in the first life; the ranks of the next find each other anew."""
    if Path(folder, f"rank{os.environ['CLUSTER_RANK']}").exists():
        return exchange(base)
    hold(folder)
    return None
