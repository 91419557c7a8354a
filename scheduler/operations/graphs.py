"""Graphs as apps and operators ask for them: submitted whole, read, waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from scheduler.domain.clock import Clock
from scheduler.domain.errors import (
    DesignatedAgentNotFound,
    GraphNotFound,
    UnknownPlugin,
    WaitTimeout,
    of_graph,
)
from scheduler.domain.graph import GraphData, GraphMember, GraphSpec
from scheduler.domain.ids import shown
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import FINAL, SessionState
from scheduler.operations.submission import Store as SubmissionStore
from scheduler.operations.submission import check_specs
from scheduler.store.graphs import GraphRepository

#: Jobs that are read with their edges where nobody says how many.
SHOWN = 200
#: Jobs looked at together while their end is awaited.
_AWAITED = 500


class Store(SubmissionStore, Protocol):
    """What graphs are read from and written to."""

    @property
    def graphs(self) -> GraphRepository: ...
    @property
    def clock(self) -> Clock: ...


def submit_graph(store: Store, graph: GraphSpec) -> GraphData:
    """Write a graph, all of it or nothing; a repeat with its idempotency key answers the same one.

    Raises UnknownPlugin, DesignatedAgentNotFound, and what ``GraphRepository.submit`` raises.
    """
    specs = graph.specs()
    _check(store, graph, specs)
    graph_id = store.graphs.submit(graph, specs)
    found = store.graphs.with_sessions(store.graphs.read(graph_id))
    return replace(found, counts=_counts(store, found))


def _check(store: Store, graph: GraphSpec, specs: Sequence[SessionSpec]) -> None:
    """Look up what jobs name, and say whose it is that is not there."""
    try:
        check_specs(store, specs)
    except (DesignatedAgentNotFound, UnknownPlugin) as error:
        wanted = error.facts.get("agent"), error.facts.get("name")
        for job, spec in zip(graph.jobs, specs, strict=True):
            if (spec.agents_strict and wanted[0] in spec.agents) or spec.cluster_mode == wanted[1]:
                raise of_graph(error, shown(job.name)) from None
        raise


def read_graph(store: Store, graph_id: str, *, limit: int = SHOWN) -> GraphData:
    """A graph, how its jobs stand, and of the first ``limit`` of them, parents first, what they need.

    Raises GraphNotFound.
    """
    found = store.graphs.with_sessions(store.graphs.read(graph_id))
    return replace(found, counts=_counts(store, found), members=_members(store, found, limit))


def graph_of(store: Store, office: str, graph_id: str) -> GraphData:
    """A graph of an office, without its jobs. Raises GraphNotFound, also where it is another's or nobody's."""
    found = store.graphs.read(graph_id)
    if not office or found.office != office:
        raise GraphNotFound(graph=graph_id)
    return found


def wait_for_graph(store: Store, graph: GraphData, timeout: float) -> Mapping[str, int]:
    """Wait until all jobs have ended, at most ``timeout`` s; how many ended in which state.

    Raises WaitTimeout.
    """
    deadline = store.clock.monotonic() + timeout
    sessions = list(graph.sessions.values())
    # The last ones first: when they are over, hardly any other is not.
    for end in range(len(sessions), 0, -_AWAITED):
        page = sessions[max(0, end - _AWAITED) : end]
        while running := [
            s for s, state in store.graphs.states(page) if state and state not in FINAL
        ]:
            left = deadline - store.clock.monotonic()
            data = store.sessions.wait(running[-1], max(0.0, left))
            if not data.ended and left <= 0:
                raise WaitTimeout(
                    session=f"{data.id} of graph {graph.id}", seconds=timeout, state=data.state
                )
    return _counts(store, graph)


def _counts(store: Store, graph: GraphData) -> dict[str, int]:
    found = Counter(state for _, state in store.graphs.states(list(graph.sessions.values())))
    return {str(state): found[state] for state in SessionState if found[state]}


def _members(store: Store, graph: GraphData, limit: int) -> list[GraphMember]:
    shown = list(graph.sessions.items())[:limit]
    names = {session: name for name, session in graph.sessions.items()}
    facts = store.graphs.facts([session for _, session in shown])
    return [
        GraphMember(name, session, state, reason, _needs(edges, names))
        for (name, session), (state, reason, edges) in zip(shown, facts, strict=True)
    ]


def _needs(edges: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Name in the graph, or the id of a session outside, to the policy; "hold, held" where it holds."""
    found: dict[str, str] = {}
    for parent, edge in edges.items():
        word, _, policy = edge.partition(" ")
        found[names.get(parent, parent)] = (policy or "cancel") + (
            ", held" if word == "held" else ""
        )
    return found
