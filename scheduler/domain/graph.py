"""Graphs: sessions that depend on each other by name, checked as a whole before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Protocol

from scheduler.domain.dependency import EdgePolicy, edges_of
from scheduler.domain.errors import InvalidGraph, InvalidInput, InvalidSetting, InvalidSpec
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.domain.ids import has_control_characters, shown
from scheduler.domain.office import check_office_name, office_scopes
from scheduler.domain.scope import LONGEST_NAME
from scheduler.domain.spec import MAX_DEPENDENCIES, SessionSpec
from scheduler.domain.spelling import meant

MAX_JOBS = 100_000
MAX_EDGES = 1_000_000
#: Sessions outside of the graph that one of its jobs may depend on.
MAX_OUTSIDE = 200
#: Names of a cycle that a sentence shows.
_SHOWN = 12

_FIELDS = {f.name for f in dataclasses.fields(SessionSpec)} - {"group", "idempotency_key", "name"}
_JOB = (*sorted(_FIELDS), "name", "needs", "role")
_GRAPH = ("group", "idempotency_key", "jobs", "name", "office")


class Node(Protocol):
    """What can be put in order: a name, and the names it needs."""

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphJob:
    """One job of a graph: its name in there, what it runs, and the jobs it needs, each with a policy.

    ``role`` is of the graph's office. ``spec.depends_on`` may name sessions outside of the graph.
    """

    name: str
    spec: SessionSpec
    needs: Mapping[str, EdgePolicy] = field(default_factory=dict)
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """Jobs that are submitted all or none. Raises InvalidGraph with one sentence when they make no sense.

    All are in one scaling group, that of their specs.
    """

    jobs: Sequence[GraphJob]
    name: str = ""
    office: str = ""
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        if not self.jobs:
            raise InvalidGraph(problem="it has no jobs")
        if len(self.jobs) > MAX_JOBS:
            raise InvalidGraph(
                problem=f"{len(self.jobs)} jobs are too many, the limit is {MAX_JOBS}"
            )
        _check_word("its name", self.name, least=0)
        if self.idempotency_key is not None:
            _check_word("its idempotency key", self.idempotency_key)
        if self.office:
            _check_office(self.office)
        for job in self.jobs:
            self._check_job(job)
        check_needs(self.jobs)

    @property
    def group(self) -> str:
        """The scaling group of all its jobs."""
        return self.jobs[0].spec.group

    def _check_job(self, job: GraphJob) -> None:
        _check_word("the name of a job", job.name)
        outside, problem = len(job.spec.depends_on), ""
        if job.spec.group != self.group:
            problem = (
                f"is in scaling group {job.spec.group}, others in {self.group}; a graph is in one"
            )
        elif job.spec.idempotency_key is not None:
            problem = "has an idempotency key; give the graph one"
        elif job.role and not self.office:
            problem = f"has the role {shown(job.role)}, and the graph names no office"
        elif self.office and not {"office", "role"}.isdisjoint(job.spec.scopes):
            problem = "names a scope office or role, which come from the graph's office and the job's role"
        elif outside > MAX_OUTSIDE:
            problem = (
                f"depends on {outside} sessions outside of the graph, the limit is {MAX_OUTSIDE}"
            )
        if problem:
            raise InvalidGraph(problem=f"job {shown(job.name)} {problem}")

    def specs(self) -> list[SessionSpec]:
        """What each job asks for as a session, with the scopes of its office and role."""
        return [_spec_of(job, self.office) for job in self.jobs]


def _spec_of(job: GraphJob, office: str) -> SessionSpec:
    spec = job.spec
    if not office:
        return spec
    return dataclasses.replace(spec, scopes={**spec.scopes, **office_scopes(office, job.role)})


def _check_office(office: str) -> None:
    try:
        check_office_name(office)
    except InvalidSetting as error:
        raise InvalidGraph(problem=f"office {error.facts['problem']}") from error


def _check_word(what: str, text: object, least: int = 1) -> None:
    fine = isinstance(text, str) and least <= len(text) <= LONGEST_NAME
    if not fine or has_control_characters(str(text)):
        raise InvalidGraph(
            problem=f"{what} must have {least} to {LONGEST_NAME} characters and no control characters,"
            f" got {shown(text)}"
        )


def check_needs(jobs: Sequence[Node]) -> None:
    """Refuse a name that is given twice, a need nobody has the name of, too many, a cycle. Raises InvalidGraph."""
    names: set[str] = set()
    for job in jobs:
        if job.name in names:
            raise InvalidGraph(problem=f"two jobs have the name {shown(job.name)}")
        names.add(job.name)
    edges = 0
    for job in jobs:
        count = 0
        for need in job.needs:
            count += 1
            if need not in names:
                raise InvalidGraph(
                    problem=f"job {shown(job.name)} needs {shown(need)}, and no job has that name"
                )
        if count > MAX_DEPENDENCIES:
            raise InvalidGraph(
                problem=f"job {shown(job.name)} needs {count} jobs, the limit is {MAX_DEPENDENCIES}"
            )
        edges += count
    if edges > MAX_EDGES:
        raise InvalidGraph(problem=f"{edges} edges are too many, the limit is {MAX_EDGES}")
    if cycle := detect_cycle(jobs):
        raise InvalidGraph(problem=f"its jobs need each other in a circle: {path_text(cycle)}")


def path_text(cycle: Sequence[str]) -> str:
    """A cycle as people read it, cut in the middle where it is long."""
    shown_names = list(cycle)
    if len(shown_names) > _SHOWN:
        left_out = len(shown_names) - _SHOWN
        shown_names[_SHOWN - 2 : -2] = [f"({left_out} more)"]
    return " -> ".join(shown_names)


def detect_cycle(jobs: Iterable[Node]) -> list[str]:
    """A cycle as a path, each job needing the next and the last being the first again; [] where there is none.

    Needs that are no job of these are left out of account.
    """
    known = list(jobs)
    order, _ = _peel(known)
    if len(order) == len(known):
        return []
    # Whatever was not peeled off needs something that was not either: a walk along such needs comes round.
    peeled = set(order)
    needs = {job.name: job.needs for place, job in enumerate(known) if place not in peeled}
    path: list[str] = []
    places: dict[str, int] = {}
    name = next(iter(needs))
    while name not in places:
        places[name] = len(path)
        path.append(name)
        name = next(need for need in needs[name] if need in needs)
    return [*path[places[name] :], name]


def execution_order(jobs: Iterable[Node]) -> list[list[str]]:
    """Names in groups: each group may run at once when the ones before it are over. Raises InvalidGraph on a cycle.

    Kahn's algorithm; inside a group in the order given. Needs that are no job of these are met.
    """
    known = list(jobs)
    order, ends = _peel(known)
    if len(order) < len(known):
        raise InvalidGraph(
            problem=f"its jobs need each other in a circle: {path_text(detect_cycle(known))}"
        )
    names = [known[place].name for place in order]
    return [names[start:end] for start, end in pairwise(ends)]


def _peel(jobs: Sequence[Node]) -> tuple[list[int], list[int]]:
    """Places of jobs so that each comes after those it needs, and where each group begins, with the end.

    What is in or behind a cycle is left out.
    """
    places = {job.name: place for place, job in enumerate(jobs)}
    left = [0] * len(jobs)
    children: list[list[int] | None] = [None] * len(jobs)
    for child, job in enumerate(jobs):
        for need in job.needs:
            place = places.get(need)
            if place is not None:
                left[child] += 1
                theirs = children[place]
                if theirs is None:
                    children[place] = [child]
                else:
                    theirs.append(child)
    order = [place for place, count in enumerate(left) if not count]
    ends, begin = [0], 0
    while begin < len(order):
        end = len(order)
        for place in order[begin:end]:
            for child in children[place] or ():
                left[child] -= 1
                if not left[child]:
                    order.append(child)
        ends.append(end)
        begin = end
    return order, ends


def graph_from(found: object) -> GraphSpec:
    """Read a graph from YAML or JSON. Raises InvalidGraph.

    ``{"name", "office", "group", "idempotency_key", "jobs": [{"name", "needs", "role", and the fields of
    SessionSpec}]}``; ``needs`` is a list of names, or a mapping of names to policies.
    """
    graph = _mapping("a graph", found)
    _known("a graph", graph, _GRAPH)
    jobs = graph.get("jobs")
    if not isinstance(jobs, list | tuple):
        raise InvalidGraph(problem=f"jobs must be a list of jobs, got {shown(jobs)}")
    group = graph.get("group", DEFAULT_GROUP)
    office = graph.get("office") or ""
    if not isinstance(office, str):
        raise InvalidGraph(problem=f"office must be a text, got {shown(office)}")
    if len(jobs) > MAX_JOBS:  # before a hundred thousand of them are read
        raise InvalidGraph(problem=f"{len(jobs)} jobs are too many, the limit is {MAX_JOBS}")
    try:
        return GraphSpec(
            jobs=[_job(job, group) for job in jobs],
            name=graph.get("name") or "",
            office=office,
            idempotency_key=graph.get("idempotency_key"),
        )
    except InvalidGraph:
        raise
    except InvalidInput as error:
        raise InvalidGraph(problem=str(error.facts.get("problem", error))) from error


def _job(found: object, group: object) -> GraphJob:
    asked = dict(_mapping("a job", found))
    name = asked.pop("name", None)
    _check_word("the name of a job", name)
    what = f"job {shown(name)}"
    _known(what, asked, _JOB)
    role = asked.pop("role", "") or ""
    if not isinstance(role, str):
        raise InvalidGraph(problem=f"{what}: role must be a text, got {shown(role)}")
    try:
        needs = _needs(asked.pop("needs", None))
        asked["not_before"] = _time(asked.get("not_before"))
        spec = SessionSpec(group=group, **asked)  # type: ignore[arg-type]
    except InvalidInput as error:
        raise InvalidGraph(problem=f"{what}: {error.facts.get('problem', error)}") from error
    return GraphJob(name=str(name), spec=spec, needs=needs, role=role)


def _needs(found: object) -> dict[str, EdgePolicy]:
    names = [] if found is None else found
    if not isinstance(names, list | tuple | Mapping) or not all(isinstance(n, str) for n in names):
        raise InvalidSpec(
            problem=f"needs must be a list of names, or a mapping of names to policies, got {shown(found)}"
        )
    return edges_of(names)


def _time(value: object) -> object:
    """A time as YAML knows one, or as text; what is none is refused by the spec."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidSpec(
            problem=f"not_before must be a time such as 2026-11-21T09:00:00+09:00, got {shown(value)}"
        ) from error


def _mapping(what: str, found: object) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise InvalidGraph(problem=f"{what} must be a mapping, got {shown(found)}")
    return found


def _known(what: str, found: Mapping[str, Any], fields: Sequence[str]) -> None:
    for name in found:
        if name not in fields:
            raise InvalidGraph(
                problem=f"{what} has no field {shown(name)}; {meant(str(name), fields)}"
            )


@dataclass(frozen=True, slots=True)
class GraphMember:
    """One job of a stored graph."""

    name: str
    session: str
    state: str  #: "" where it was forgotten
    reason: str
    needs: Mapping[
        str, str
    ]  #: names of the graph -> policy, and "held by it" beside it where that is so

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "id": self.session,
            "state": self.state,
            "reason": self.reason,
            "needs": dict(self.needs),
        }


@dataclass(frozen=True, slots=True)
class GraphData:
    """A stored graph. Times are ms of Redis' clock."""

    id: str
    name: str
    group: str
    office: str
    state: str  #: loading, sealed (its sessions become visible), open
    jobs: int
    submitted_at: int | None
    #: How many jobs are in each state; forgotten ones in none.
    counts: Mapping[str, int] = field(default_factory=dict)
    sessions: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  #: name -> session, parents first
    members: Sequence[GraphMember] = field(default=(), repr=False)  #: as many as were asked for

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "group": self.group,
            "office": self.office,
            "state": self.state,
            "jobs": self.jobs,
            "submitted_at": self.submitted_at,
            "counts": dict(self.counts),
            "members": [member.as_dict() for member in self.members],
        }
