"""The repository of graphs: loaded unseen in batches, seen by one seal, or nothing of them stays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import redis

from scheduler.domain.clock import Clock
from scheduler.domain.dependency import EdgePolicy
from scheduler.domain.errors import (
    GraphGivenUp,
    GraphNotFound,
    GroupNotFound,
    IdempotencyConflict,
    SchedulerError,
    of_graph,
)
from scheduler.domain.graph import GraphData, GraphSpec, execution_order
from scheduler.domain.ids import is_graph_id, new_graph_id, shown
from scheduler.domain.session import why
from scheduler.domain.spec import SessionSpec
from scheduler.store import precheck
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.refusals import is_about, known_groups, refused
from scheduler.store.script import Script
from scheduler.store.submission import SUBMIT_BATCH, Checked, kind_of, session_of, spec_digest

_OPEN = Script.load("graph/open")
_LOAD = Script.load("graph/load")
_SEAL = Script.load("graph/seal")
_DISCARD = Script.load("graph/discard")
_CANCEL = Script.load("graph/cancel")

#: Edges that one script writes beside its sessions.
_EDGES = 400
#: Sessions that one script deletes, or cancels.
_DISCARDED, _CANCELLED = 200, 50
#: How long a graph is kept that nobody loads any more, ms.
PATIENCE_MS = 600_000
#: Names, or states, read in one round trip.
_PAGE = 2_000


@dataclass(slots=True)
class _Batch:
    """What goes into one script."""

    start: int
    sessions: list[tuple[Checked, dict[str, Any]]]
    edges: dict[str, dict[str, str]]


class GraphRepository:
    """Graphs of one namespace. All methods raise StoreUnavailable when Redis does not answer."""

    def __init__(
        self, client: redis.Redis, keys: Keys, clock: Clock, *, patience_ms: int = PATIENCE_MS
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._patience_ms = patience_ms

    def submit(self, graph: GraphSpec, specs: Sequence[SessionSpec]) -> str:
        """Write a graph whose jobs are these sessions, all or none; its id.

        With the idempotency key of a graph that asked for the same, that one's id. Raises GroupNotFound,
        IdempotencyConflict, DependencyNotFound, Unsatisfiable, PendingLimitReached, RedisFull, GraphGivenUp.
        """
        checked = [Checked.of(spec) for spec in specs]
        with speaking_to(self._client):
            if known := self._known(graph.idempotency_key, digest := _digest(graph, checked)):
                return known
            if refusal := precheck.refusal(self._client, self._keys, checked):
                named = zip((job.name for job in graph.jobs), checked, strict=True)
                of = [(name, each) for name, each in named if each is refusal.of]
                raise self._refused(graph, of, checked, refusal.answer)
        graph_id = new_graph_id(self._clock.now_ms())
        if known := self._open(graph_id, graph, digest):
            return known
        try:
            for batch in _batches(graph_id, graph, checked, self._clock.now_ms()):
                self._load(graph_id, graph, batch)
            return self._seal(graph_id, graph)
        except SchedulerError:
            self._give_up(graph_id)
            raise

    def _known(self, key: str | None, digest: str) -> str:
        """The graph that has an idempotency key, or "". Raises IdempotencyConflict."""
        text = self._client.get(self._keys.idempotency(key)) if key else None
        owner, _, same = cast("str", text or "").partition(" ")
        if owner and same != digest:
            raise IdempotencyConflict(key=key, session=owner)
        return owner

    def _open(self, graph_id: str, graph: GraphSpec, digest: str) -> str:
        fields = ["jobs", str(len(graph.jobs)), "name", graph.name, "office", graph.office]
        with speaking_to(self._client):
            word, *rest = _OPEN(
                self._client,
                self._keys.root,
                graph=graph_id,
                group=graph.group,
                fields=fields,
                key=graph.idempotency_key or "",
                digest=digest,
                patience=self._patience_ms,
            )
            if word == "unknown_group":
                raise GroupNotFound(group=graph.group, known=known_groups(self._client, self._keys))
        return self._same(graph, word, rest)

    @staticmethod
    def _same(graph: GraphSpec, word: str, rest: Sequence[str]) -> str:
        if word == "conflict":
            raise IdempotencyConflict(key=graph.idempotency_key, session=rest[0])
        return rest[0] if word == "known" else ""

    def _refused(
        self,
        graph: GraphSpec,
        jobs: Iterable[tuple[str, Checked]],
        batch: Sequence[Checked],
        answer: Sequence[Any],
    ) -> SchedulerError:
        """What an answer says, with the first of the jobs that it may be about; its office is that of all."""
        error = refused(self._client, self._keys, batch, answer)
        about = [name for name, each in jobs if is_about(answer, each)]
        ours = answer[0] == "unknown_office" and graph.office
        return of_graph(error, shown(about[0])) if about and not ours else error

    def _load(self, graph_id: str, graph: GraphSpec, batch: _Batch) -> None:
        checked = [each for each, _ in batch.sessions]
        with speaking_to(self._client):
            answer = _LOAD(
                self._client,
                self._keys.root,
                graph=graph_id,
                start=batch.start,
                requests={each.request.id: kind_of(each.request.text) for each in checked},
                sessions=[asked for _, asked in batch.sessions],
                edges=batch.edges,
                patience=self._patience_ms,
            )
        if answer[0] == "gone":
            raise GraphGivenUp(graph=graph_id, why="nothing came for too long")
        if answer[0] not in ("loaded", "sealed"):
            jobs = [(asked["name"], each) for each, asked in batch.sessions]
            raise self._refused(graph, jobs, checked, answer)

    def _seal(self, graph_id: str, graph: GraphSpec) -> str:
        with speaking_to(self._client):
            word, *rest = _SEAL(self._client, self._keys.root, graph=graph_id, jobs=len(graph.jobs))
        if word == "sealed":
            return graph_id
        if word in ("gone", "incomplete"):
            raise GraphGivenUp(graph=graph_id, why="nothing came for too long")
        same = self._same(graph, word, rest)
        self._give_up(graph_id)
        return same

    def _give_up(self, graph_id: str) -> None:
        """Delete what was loaded. Where Redis does not answer, it expires."""
        while self._discard(graph_id, expired=0) == "more":
            pass

    def _discard(self, graph_id: str, *, expired: int) -> str:
        with speaking_to(self._client):
            answer = _DISCARD(
                self._client, self._keys.root, graph=graph_id, expired=expired, limit=_DISCARDED
            )
        return str(answer[0])

    def discard_expired(self, group: str, steps: int) -> bool:
        """Delete graphs that nobody loads any more, in so many steps at most; whether there is more."""
        with speaking_to(self._client):
            seconds, _ = self._client.time()
            key = self._keys.graphs_loading(group)
            found = self._client.zrangebyscore(key, "-inf", seconds * 1000, 0, steps)
        for graph_id in cast("list[str]", found):
            while steps > 0:
                steps -= 1
                if self._discard(graph_id, expired=1) != "more":
                    break
        return steps <= 0

    def cancel(self, graph_id: str, reason: str) -> int:
        """Cancel all its jobs that have not ended, the last first; how many. Raises GraphNotFound."""
        before, count = self.read(graph_id).jobs, 0
        while True:
            with speaking_to(self._client):
                word, *rest = _CANCEL(
                    self._client,
                    self._keys.root,
                    graph=graph_id,
                    reason=reason,
                    before=before,
                    limit=_CANCELLED,
                )
            if word == "gone":
                raise GraphNotFound(graph=graph_id)
            before, count = int(rest[0]), count + int(rest[1])
            if not before:
                return count

    def read(self, graph_id: str) -> GraphData:
        """Its facts, without its jobs. Raises GraphNotFound; one that is not sealed is not found."""
        found = self.many([graph_id[:64]] if is_graph_id(graph_id) else [])
        if not found:
            raise GraphNotFound(graph=graph_id[:64])
        return found[0]

    def many(self, graphs: Iterable[str]) -> list[GraphData]:
        """The sealed ones among the given graphs."""
        wanted = list(graphs)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for graph_id in wanted:
                pipe.hgetall(self._keys.graph(graph_id))
            rows = pipe.execute()
        return [
            _data(graph_id, row)
            for graph_id, row in zip(wanted, rows, strict=True)
            if row.get("state") in ("sealed", "open")
        ]

    def newest(self, limit: int) -> list[GraphData]:
        """The graphs that were sealed last, the newest first."""
        with speaking_to(self._client):
            return self.many(
                cast("list[str]", self._client.zrevrange(self._keys.graphs(), 0, limit - 1))
            )

    def with_sessions(self, graph: GraphData) -> GraphData:
        """The same with the session of each job, by name, parents first."""
        with speaking_to(self._client):
            lines: Any = self._client.lrange(self._keys.graph_jobs(graph.id), 0, -1)
        named = (line.partition(" ") for line in lines)
        return replace(graph, sessions={name: session for session, _, name in named})

    def states(self, sessions: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Session and state of each, "" where it was forgotten."""
        for start in range(0, len(sessions), _PAGE):
            page = sessions[start : start + _PAGE]
            with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
                for session in page:
                    pipe.hget(self._keys.session(session), "state")
                found = pipe.execute()
            yield from ((s, state or "") for s, state in zip(page, found, strict=True))

    def facts(self, sessions: Sequence[str]) -> list[tuple[str, str, Mapping[str, str]]]:
        """State ("" where it was forgotten), why and edges of each; for some, not for thousands."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for session in sessions:
                pipe.hmget(self._keys.session(session), "state", "reason", "error")
                pipe.hgetall(self._keys.parents(session))
            found = pipe.execute()
        return [
            (state or "", why(reason or "", error or ""), edges)
            for (state, reason, error), edges in zip(found[::2], found[1::2], strict=True)
        ]


def _data(graph_id: str, row: Mapping[str, str]) -> GraphData:
    return GraphData(
        id=graph_id,
        name=row.get("name", ""),
        group=row.get("group", ""),
        office=row.get("office", ""),
        state=row["state"],
        jobs=int(row.get("jobs", 0)),
        submitted_at=int(row["sealed_at"]) if "sealed_at" in row else None,
    )


def _digest(graph: GraphSpec, checked: Sequence[Checked]) -> str:
    """What an idempotency key stands for."""
    asked: list[Any] = [graph.name, graph.office]
    for job, each in zip(graph.jobs, checked, strict=True):
        asked.append([job.name, spec_digest(each), sorted(job.needs.items())])
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]


def _batches(
    graph_id: str, graph: GraphSpec, checked: Sequence[Checked], now_ms: int
) -> Iterator[_Batch]:
    """All sessions, parents first, and the edges to each with it or after it."""
    places = {job.name: place for place, job in enumerate(graph.jobs)}
    order = [name for names in execution_order(graph.jobs) for name in names]
    ids: dict[str, str] = {}
    batch, edges = _Batch(0, [], {}), 0
    for count, name in enumerate(order):
        job, each = graph.jobs[places[name]], checked[places[name]]
        if len(batch.sessions) == SUBMIT_BATCH or edges >= _EDGES:
            yield batch
            batch, edges = _Batch(count, [], {}), 0
        asked = _asked(graph_id, name, each, now_ms)
        asked["needs"] = len(job.needs)
        ids[name] = asked["id"]
        batch.sessions.append((each, asked))
        for need, policy in job.needs.items():
            if edges >= _EDGES:
                yield batch
                batch, edges = _Batch(count + 1, [], {}), 0
            batch.edges.setdefault(ids[name], {})[ids[need]] = _edge(policy)
            edges += 1
    yield batch


def _edge(policy: EdgePolicy) -> str:
    return "unmet" if policy is EdgePolicy.CANCEL else f"unmet {policy}"


def _asked(graph_id: str, name: str, each: Checked, now_ms: int) -> dict[str, Any]:
    asked = session_of(each, now_ms)
    asked["row"] += ["graph", graph_id]
    if not each.spec.name:
        asked["row"] += ["name", name]
    asked["name"] = name
    if each.edges:
        # They count once the graph is seen: until then nothing may happen to its sessions.
        asked["row"] += ["outer", json.dumps(list(each.edges))]
    return asked
