"""The repository of kernels' logs: streams on the agents' own keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import redis

from scheduler.domain.errors import LogsNotFound
from scheduler.domain.session import SessionData
from scheduler.protocol.names import OrderId
from scheduler.store import streams
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys


@dataclass(frozen=True, slots=True)
class LogLine:
    """A piece of output, not always a whole line; ``id`` is where to go on from."""

    id: str
    kernel: int
    stream: str  #: stdout, stderr, or cut: the log was full
    text: str


class LogRepository:
    """Output of kernels. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def read(self, data: SessionData, attempt: int | None = None, kernel: int = 0) -> list[LogLine]:
        """What one kernel of an attempt (the last by default) has printed so far. Raises LogsNotFound."""
        key = self._key(data, attempt, kernel)
        with speaking_to(self._client):
            found = streams.entries(self._client.xrange(key))
        return [_line(entry, kernel) for entry in found]

    def follow(
        self,
        data: SessionData,
        after: str,
        *,
        timeout: float,
        attempt: int | None = None,
        kernel: int = 0,
    ) -> list[LogLine]:
        """What came after a piece; waits up to ``timeout`` s (at most 4). Raises LogsNotFound."""
        key = self._key(data, attempt, kernel)
        with speaking_to(self._client):
            found = streams.read(self._client, {key: after}, timeout=timeout, limit=1000)
        return [_line(entry, kernel) for entry in found.get(key, ())]

    def _key(self, data: SessionData, attempt: int | None, kernel: int) -> str:
        if not 0 <= kernel < len(data.request.kernels):
            raise LogsNotFound(
                session=data.id, why=f"it has kernels 0 to {len(data.request.kernels) - 1}"
            )
        if attempt is None and data.kernels:
            placement, agent = data.placement, data.kernels[kernel].agent
        else:
            agent, placement = _of_attempt(data.id, data, attempt, kernel)
        return self._keys.log(agent, str(OrderId(data.id, kernel, placement)))


def _of_attempt(
    session: str, data: SessionData, attempt: int | None, kernel: int
) -> tuple[str, str]:
    rows = [row for row in data.history if attempt in (None, row.attempt)]
    if not rows:
        why = (
            f"it is {data.state} and never ran"
            if attempt is None
            else f"it has no attempt {attempt}"
        )
        raise LogsNotFound(session=session, why=why)
    agents: Sequence[str] = rows[-1].agents
    return agents[min(kernel, len(agents) - 1)], rows[-1].placement


def _line(entry: streams.Entry, kernel: int) -> LogLine:
    return LogLine(entry.id, kernel, entry.fields["stream"], entry.fields["text"])
