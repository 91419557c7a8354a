"""For every word of the scripts and moves of graphs: what makes it answer that word; and graphs to try."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scheduler.domain import moves as m
from scheduler.domain.clock import SystemClock
from scheduler.domain.dependency import EdgePolicy
from scheduler.domain.graph import GraphJob, GraphSpec
from scheduler.domain.ids import new_graph_id
from scheduler.domain.scope import GLOBAL, ScopeLimits
from scheduler.domain.spec import SessionSpec
from scheduler.store import edges, graphs
from scheduler.store.script import Script
from scheduler.store.submission import Checked, kind_of
from tests.unit.store.lives import GROUP, NOBODY, OTHER, S, World

Case = Callable[[World], object]
Needs = Mapping[str, Mapping[str, EdgePolicy] | Sequence[str]]

DIAMOND: Needs = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
NO_GRAPH = f"g{NOBODY}"


def graph_of(needs: Needs, *, job: Mapping[str, Any] | None = None, **asked: Any) -> GraphSpec:
    """A graph of no-ops: name -> the names it needs, or a mapping of them to policies."""
    spec = SessionSpec(**({"callable": "jobs:noop"} | dict(job or {})))
    jobs = []
    for name, theirs in needs.items():
        edges = theirs if isinstance(theirs, Mapping) else dict.fromkeys(theirs, EdgePolicy.CANCEL)
        jobs.append(GraphJob(name=name, spec=spec, needs=edges))
    return GraphSpec(jobs=jobs, **asked)


def submit(world: World, graph: GraphSpec) -> str:
    """Submit it; nobody has shown it yet."""
    return world.graphs.submit(graph, graph.specs())


def sessions_of(world: World, graph_id: str) -> dict[str, str]:
    """The session of each job."""
    return dict(world.graphs.with_sessions(world.graphs.read(graph_id)).sessions)


def shown(world: World, graph: GraphSpec) -> tuple[str, dict[str, str]]:
    """Submit it and let the leader show it: its id, and the session of each job."""
    graph_id = submit(world, graph)
    world.resolve_all()
    return graph_id, sessions_of(world, graph_id)


class Loader:
    """An app that loads a graph step by step, and may stop anywhere."""

    def __init__(self, world: World, graph: GraphSpec) -> None:
        self.world = world
        self.graph = graph
        self.id = new_graph_id(SystemClock().now_ms())
        self.checked = [Checked.of(spec) for spec in graph.specs()]
        self.batches = list(graphs._batches(self.id, graph, self.checked, 1))

    def open(self) -> list[Any]:
        """Begin."""
        return self._run(
            "open",
            group=self.graph.group,
            fields=["jobs", "1", "name", ""],
            key=self.graph.idempotency_key or "",
            digest=graphs._digest(self.graph, self.checked),
            patience=60_000,
        )

    def load(self, number: int = 0) -> list[Any]:
        """One batch."""
        batch = self.batches[number]
        checked = [each for each, _ in batch.sessions]
        return self._run(
            "load",
            start=batch.start,
            requests={each.request.id: kind_of(each.request.text) for each in checked},
            sessions=[asked for _, asked in batch.sessions],
            edges=batch.edges,
            patience=60_000,
        )

    def seal(self) -> list[Any]:
        """The end."""
        return self._run("seal", jobs=len(self.graph.jobs))

    def discard(self, *, expired: int = 0, limit: int = 200) -> list[Any]:
        """Give up."""
        return self._run("discard", expired=expired, limit=limit)

    def _run(self, verb: str, **values: Any) -> list[Any]:
        script = Script.load(f"graph/{verb}")
        return script(self.world.client, self.world.keys.root, graph=self.id, **values)

    def opened(self) -> Loader:
        """The same, begun."""
        self.open()
        return self

    def loaded(self) -> Loader:
        """The same, with all its batches."""
        self.opened()
        for number in range(len(self.batches)):
            self.load(number)
        return self

    def sealed(self) -> Loader:
        """The same, whole."""
        self.loaded()
        self.seal()
        return self


def _loader(world: World, **job: Any) -> Loader:
    return Loader(world, graph_of(DIAMOND, job=job))


def _keyed(world: World, **job: Any) -> Loader:
    return Loader(world, graph_of(DIAMOND, job=job, idempotency_key="k"))


def _load_after(world: World, change: Callable[[World], object], **job: Any) -> None:
    loader = _loader(world, **job).opened()
    change(world)
    loader.load()


def _seal_second(world: World, **job: Any) -> None:
    second = _keyed(world, **job).loaded()
    _keyed(world).sealed()
    second.seal()


def _unknown_role(world: World) -> None:
    world.office()
    _loader(world, scopes={"office": "o", "role": "o/nobody"}).opened().load()


def _limit(world: World) -> None:
    world.scopes.limit(GLOBAL, ScopeLimits(max_pending_sessions=3))


def _unrolled(world: World) -> None:
    loader = _loader(world).sealed()
    for _ in range(3):
        world.apply(m.Unroll(loader.id, GROUP, 4))


def held(world: World) -> str:
    """A session on hold."""
    parent = world.into(S.FAILED)
    child = world.submit(depends_on={parent: "hold"})
    world.resolve_all()
    return child


def _release(world: World, session: str) -> None:
    Script.load("session/release")(world.client, world.keys.root, session=session, parents=[])


def _relink(world: World, session: str) -> None:
    Script.load("session/relink")(world.client, world.keys.root, session=session, cursor="0")


GRAPHS: Mapping[tuple[str, str], Case] = {
    ("session/release", "released"): lambda w: w.sessions.release(held(w)),
    ("session/release", "wrong_state"): lambda w: _release(w, w.into(S.RUNNING)),
    ("session/release", "gone"): lambda w: _release(w, NOBODY),
    ("session/relink", "linked"): lambda w: _relink(w, w.submit(depends_on=[w.submit()])),
    ("session/relink", "gone"): lambda w: _relink(w, NOBODY),
    ("graph/open", "opened"): lambda w: _loader(w).open(),
    ("graph/open", "known"): lambda w: (_keyed(w).sealed(), _keyed(w).open()),
    ("graph/open", "conflict"): lambda w: (_keyed(w).sealed(), _keyed(w, priority=1).open()),
    ("graph/open", "unknown_group"): lambda w: _loader(w, group="nowhere").open(),
    ("graph/load", "loaded"): lambda w: _loader(w).opened().load(),
    ("graph/load", "gone"): lambda w: _loader(w).load(),
    ("graph/load", "sealed"): lambda w: _loader(w).sealed().load(),
    ("graph/load", "unsatisfiable"): lambda w: _load_after(
        w, lambda w: w.apply(m.Reach(GROUP, '[{"cpu":1}]', "", ""))
    ),
    ("graph/load", "no_parent"): lambda w: _loader(w, depends_on=[NOBODY]).opened().load(),
    ("graph/load", "unknown_office"): lambda w: _loader(w, scopes={"office": "o"}).opened().load(),
    ("graph/load", "unknown_role"): _unknown_role,
    ("graph/load", "full"): lambda w: _load_after(
        w, lambda w: w.apply(m.Reach(GROUP, "[]", "85", ""))
    ),
    ("graph/load", "over_pending"): lambda w: _load_after(w, _limit),
    ("graph/seal", "sealed"): lambda w: _loader(w).loaded().seal(),
    ("graph/seal", "known"): _seal_second,
    ("graph/seal", "conflict"): lambda w: _seal_second(w, priority=1),
    ("graph/seal", "incomplete"): lambda w: _loader(w).opened().seal(),
    ("graph/seal", "gone"): lambda w: _loader(w).seal(),
    ("graph/discard", "discarded"): lambda w: _loader(w).loaded().discard(),
    ("graph/discard", "more"): lambda w: _loader(w).loaded().discard(limit=3),
    ("graph/discard", "loading"): lambda w: _loader(w).loaded().discard(expired=1),
    ("graph/discard", "sealed"): lambda w: _loader(w).sealed().discard(),
    ("graph/discard", "gone"): lambda w: _loader(w).discard(),
    ("graph/unhealed", "found"): lambda w: edges.unhealed(
        w.client, w.keys, GROUP, edges.Piece(0, 10, 10, 10)
    ),
    ("graph/cancel", "cancelled"): lambda w: w.graphs.cancel(_loader(w).sealed().id, "why"),
    ("graph/cancel", "gone"): lambda w: Script.load("graph/cancel")(
        w.client, w.keys.root, graph=NO_GRAPH, reason="why", before=1, limit=50
    ),
    ("move/unroll", "more"): lambda w: w.apply(m.Unroll(_loader(w).sealed().id, GROUP, 2)),
    ("move/unroll", "done"): _unrolled,
    ("move/heal", "done"): lambda w: w.apply(m.Heal(held(w), GROUP, [], "1", 1)),
    ("move/heal", "stale"): lambda w: w.apply(m.Heal(w.into(S.RUNNING), GROUP, [], "", 0)),
    ("move/heal", "gone"): lambda w: w.apply(m.Heal(NOBODY, GROUP, [OTHER], "", -1)),
}

REPEATS: Mapping[tuple[str, str], str] = {
    ("session/release", "released"): "wrong_state",
    ("graph/discard", "discarded"): "gone",
    ("graph/discard", "more"): "discarded",
}

#: A loader that says the same again is still there.
MAY_GROW: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("graph/load", "loaded"): ("graphs_loading",),
}

GOES_ON = frozenset({("move/unroll", "more"), ("graph/discard", "more")})
