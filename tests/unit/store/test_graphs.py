"""Graphs: loaded unseen, seen by one seal, or nothing stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.domain import moves as m
from scheduler.domain.errors import (
    DependencyNotFound,
    GraphGivenUp,
    GraphNotFound,
    IdempotencyConflict,
    OfficeNotFound,
    PendingLimitReached,
    SchedulerError,
)
from scheduler.domain.graph import GraphJob, GraphSpec
from scheduler.domain.office import office_scopes
from scheduler.domain.scope import GLOBAL, ScopeLimits
from scheduler.domain.spec import SessionSpec
from scheduler.leader import graphs as healing
from scheduler.leader.graphs import GraphChores
from scheduler.operations.recount import Recount
from scheduler.store import precheck
from scheduler.store.audit import AuditRepository
from scheduler.store.miscounts import ScopeCounts
from tests.unit.store.graph_words import DIAMOND, Loader, graph_of, sessions_of, shown, submit
from tests.unit.store.lives import FAR, GROUP, NOBODY, S, World, contents


def states(world: World, sessions: Mapping[str, str]) -> str:
    """The first letter of each job's state, in the order of the graph."""
    return "".join(str(world.state(session))[0] for session in sessions.values())


def end(world: World, session: str, state: S = S.SUCCEEDED) -> None:
    assert world.place(session) == "placed"
    world.start(session)
    world.end(session, state)
    world.resolve_all()


def drift(world: World) -> list[str]:
    """What the doctor would say."""
    recount = Recount(world, AuditRepository(world.client, world.keys), lambda _: None)
    tally = recount.indexes()
    wrong = ScopeCounts(world.client, world.keys).miscounts() or []
    return [*tally.drift, *recount.requests(tally), *(each.says for each in wrong)]


def test_a_diamond_runs_in_its_order(world: World) -> None:
    """J1."""
    _, jobs = shown(world, graph_of(DIAMOND))
    assert "RPPP" == states(world, jobs)

    end(world, jobs["a"])
    assert "SRRP" == states(world, jobs)
    end(world, jobs["c"])
    assert "SRSP" == states(world, jobs)
    end(world, jobs["b"])

    assert "SSSR" == states(world, jobs)


def test_nothing_of_a_graph_is_seen_before_its_seal_and_its_doctor_is_content(world: World) -> None:
    """J1."""
    events = world.events.last_id()
    loader = Loader(world, graph_of(DIAMOND)).loaded()

    assert not any(world.sessions.counts(GROUP).values())
    assert events == world.events.last_id()
    assert [] == world.graphs.newest(10)
    with pytest.raises(GraphNotFound):
        world.graphs.read(loader.id)
    assert 4 == world.scopes.read([GLOBAL])[GLOBAL].pending
    assert [] == drift(world)

    loader.seal()
    world.resolve_all()

    assert (1, 3) == (
        world.sessions.counts(GROUP)[S.READY],
        world.sessions.counts(GROUP)[S.PENDING],
    )
    names = [event.name for event in world.events.since(events)]
    assert ["graph.submitted", *["session.pending"] * 4, "session.ready"] == names
    assert [] == drift(world)


def test_no_job_is_ready_before_all_are_seen(world: World) -> None:
    _, jobs = shown(world, graph_of({"a": [], **{f"c{n}": [] for n in range(450)}}))

    names = [event.name for event in world.events.since("0-0", limit=5000)]
    first = names.index("session.ready")
    assert 451 == names[:first].count("session.pending")
    assert {S.READY} == {world.state(session) for session in jobs.values()}


def test_more_edges_than_one_script_takes(world: World) -> None:
    """A fan out of 450 into one: its edges are loaded in pieces."""
    fan = [f"f{n}" for n in range(450)]
    _, jobs = shown(world, graph_of({"a": [], **{name: ["a"] for name in fan}, "z": fan}))

    assert 450 == world.get(jobs["z"]).unmet
    assert {jobs[name] for name in fan} == set(world.sessions.parents(jobs["z"]))
    assert 450 == world.client.scard(world.keys.dependents(jobs["a"]))


def test_a_start_time_holds_inside_a_graph(world: World) -> None:
    _, jobs = shown(world, graph_of({"a": []}, job={"not_before": FAR}))

    assert S.PENDING is world.state(jobs["a"])
    assert 0 == world.get(jobs["a"]).unmet
    assert world.client.zscore(world.keys.timers(GROUP), jobs["a"]) == FAR.timestamp() * 1000


def test_the_same_key_answers_the_same_graph(world: World) -> None:
    graph_id, jobs = shown(world, graph_of(DIAMOND, idempotency_key="k"))
    before = contents(world.client)

    assert graph_id == submit(world, graph_of(DIAMOND, idempotency_key="k"))
    with pytest.raises(IdempotencyConflict):
        submit(world, graph_of({"a": []}, idempotency_key="k"))

    assert before == contents(world.client)
    assert jobs == sessions_of(world, graph_id)


def test_of_two_loaders_with_one_key_the_first_seal_wins(world: World) -> None:
    graph = graph_of(DIAMOND, idempotency_key="k")
    first, second = Loader(world, graph).loaded(), Loader(world, graph).loaded()
    second.seal()

    assert ["known", second.id] == first.seal()
    first.discard()
    world.resolve_all()

    assert 4 == sum(world.sessions.counts(GROUP).values())
    assert [] == drift(world)


@pytest.mark.parametrize(
    ("needs", "wanted"), [(DIAMOND, 3), ({f"n{i}": [] for i in range(450)}, 449)]
)
def test_a_graph_that_may_not_wait_leaves_nothing(
    world: World, needs: dict[str, list[str]], wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or none: the limit is met in the last batch, when the others are loaded."""
    monkeypatch.setattr(precheck, "refusal", lambda *_: None)
    world.scopes.limit(GLOBAL, ScopeLimits(max_pending_sessions=wanted))
    counted = (world.keys.counters(), world.keys.events())
    before = contents(world.client, without=counted)

    with pytest.raises(PendingLimitReached):
        submit(world, graph_of(needs))

    assert before == contents(world.client, without=counted)


def test_bad_input_is_found_before_anything_is_written(world: World) -> None:
    world.scopes.limit(GLOBAL, ScopeLimits(max_pending_sessions=3))
    before = contents(world.client)

    with pytest.raises(PendingLimitReached):
        submit(world, graph_of(DIAMOND))
    with pytest.raises(DependencyNotFound):
        submit(world, graph_of({"a": []}, job={"depends_on": [NOBODY]}))

    assert before == contents(world.client)


@pytest.mark.parametrize("checked_first", [True, False])
def test_a_refusal_names_the_job_that_it_is_about(
    world: World, monkeypatch: pytest.MonkeyPatch, *, checked_first: bool
) -> None:
    """J1: found by the look before, or by the script where it became wrong since."""
    world.offices.create("acme", {"roles": ["dev"]})
    world.apply(m.Reach(GROUP, '[{"cpu":4000}]', "", ""))
    if not checked_first:
        monkeypatch.setattr(precheck, "refusal", lambda *_: None)

    def refusal(**asked: Any) -> str:
        jobs = [
            GraphJob(name="fits", spec=SessionSpec(callable="jobs:noop")),
            GraphJob(name="train", **({"spec": SessionSpec(callable="jobs:noop")} | asked)),
        ]
        with pytest.raises(SchedulerError) as refused:
            submit(world, GraphSpec(jobs=jobs, **({"office": "acme"} if "role" in asked else {})))
        return str(refused.value)

    def spec(**asked: Any) -> SessionSpec:
        return SessionSpec(callable="jobs:noop", **asked)

    said = "The graph was not submitted: job 'train': "
    assert refusal(spec=spec(slots={"cpu": "9"})).startswith(said + "it asks for")
    assert refusal(spec=spec(depends_on=[NOBODY])).startswith(said + f"it depends on {NOBODY}")
    assert refusal(role="king").startswith(said + "office acme has no role 'king'")
    stranger = spec(scopes=office_scopes("nowhere", ""))
    assert refusal(spec=stranger).startswith(said + "Office 'nowhere' does not exist")


def test_a_limit_names_the_first_job_that_is_too_many(world: World) -> None:
    world.scopes.limit(GLOBAL, ScopeLimits(max_pending_sessions=2))

    with pytest.raises(PendingLimitReached, match="job 'c': "):
        submit(world, graph_of({"a": [], "b": [], "c": [], "d": []}))


def test_an_office_that_is_not_there_is_the_graphs(world: World) -> None:
    with pytest.raises(OfficeNotFound, match=r"^Office 'nowhere' does not exist"):
        submit(world, graph_of({"a": []}, office="nowhere"))


def test_a_loader_that_died_leaves_a_graph_that_expires(world: World) -> None:
    """J1."""
    counted = (world.keys.counters(), world.keys.events())
    before = contents(world.client, without=counted)
    loader = Loader(world, graph_of({"a": [], **{f"c{n}": ["a"] for n in range(250)}})).loaded()
    world.graphs.discard_expired(GROUP, 20)
    assert ["loading"] == loader.discard(expired=1)

    world.client.zadd(world.keys.graphs_loading(GROUP), {loader.id: 1})
    world.graphs.discard_expired(GROUP, 1)
    assert ["gone"] == loader.seal()
    assert ["gone"] == loader.load()
    world.graphs.discard_expired(GROUP, 20)

    assert before == contents(world.client, without=counted)


def test_who_loads_a_graph_that_was_given_up_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = world.graphs._load

    def slow(graph_id: str, graph: GraphSpec, batch: object) -> None:
        world.client.zadd(world.keys.graphs_loading(GROUP), {graph_id: 1})
        world.graphs.discard_expired(GROUP, 20)
        load(graph_id, graph, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(type(world.graphs), "_load", lambda _, *given: slow(*given))
    with pytest.raises(GraphGivenUp):
        submit(world, graph_of(DIAMOND))


def test_parents_outside_of_the_graph_count_once_it_is_seen(world: World) -> None:
    outside, failed = world.submit(), world.into(S.FAILED)
    loader = Loader(
        world, graph_of(DIAMOND, job={"depends_on": {outside: "cancel", failed: "ignore"}})
    )
    loader.loaded()
    end(world, outside)
    assert not world.sessions.counts(GROUP)[S.PENDING]

    loader.seal()
    world.resolve_all()

    assert "RPPP" == states(world, sessions_of(world, loader.id))


def test_a_graph_is_cancelled_from_its_end(world: World) -> None:
    graph_id, jobs = shown(
        world, graph_of({f"n{i}": [f"n{i - 1}"] if i else [] for i in range(120)})
    )
    end(world, jobs["n0"])
    world.place(jobs["n1"])

    assert 119 == world.graphs.cancel(graph_id, "it was wrong")

    assert 118 == world.sessions.counts(GROUP)[S.CANCELLED]
    assert "it was wrong" == world.get(jobs["n2"]).reason
    assert "it was wrong" == world.get(jobs["n1"]).cancel_requested


def test_a_sealed_graph_is_cancelled_before_it_is_seen(world: World) -> None:
    graph_id = submit(world, graph_of(DIAMOND))

    assert 4 == world.graphs.cancel(graph_id, "it was wrong")
    world.resolve_all()

    assert {S.CANCELLED: 4} == {s: n for s, n in world.sessions.counts(GROUP).items() if n}
    assert [] == drift(world)
    jobs = sessions_of(world, graph_id)
    world.sessions.retry(jobs["a"])
    assert S.READY is world.state(jobs["a"])


def test_a_graph_is_forgotten_with_its_last_session(world: World) -> None:
    graph_id, jobs = shown(world, graph_of(DIAMOND, idempotency_key="k"))
    world.graphs.cancel(graph_id, "why")
    world.resolve_all()

    assert 4 == len(world.forget(S.CANCELLED, 2**45))

    with pytest.raises(GraphNotFound):
        world.graphs.read(graph_id)
    assert graph_id != submit(world, graph_of(DIAMOND, idempotency_key="k"))
    assert 4 == len(jobs)


def heal(world: World, rounds: int = 1) -> None:
    """The sweep looks."""
    chores = GraphChores(world.client, world.keys, world.graphs._clock, GROUP)
    for _ in range(rounds):
        world.apply(*chores.sweep())
        while chores.under_way:
            chores._next = 0.0
            world.apply(*chores.go_on())
    world.resolve_all()


@pytest.mark.parametrize("many", [1, 1200])
def test_the_sweep_tells_what_nobody_told(world: World, many: int) -> None:
    """J1: the parent ended, and its dependents never heard of it."""
    parents = [world.submit() for _ in range(2)]
    others = world.sessions.submit([SessionSpec(callable="jobs:noop")] * (many - 1))
    for other in others:
        world.client.hset(world.keys.session(other), "state", "SUCCEEDED")
    child = world.submit(depends_on=[*parents, *others])
    for parent in parents:
        world.place(parent)
        world.start(parent)
        world.end(parent)
    world.client.delete(*map(world.keys.dependents, parents), world.keys.resolve(GROUP))

    heal(world)

    assert (S.READY, 0) == (world.state(child), world.get(child).unmet)


def test_the_sweep_counts_anew_what_was_counted_wrong(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    world.client.hset(world.keys.session(child), "unmet", 7)

    heal(world)

    assert 1 == world.get(child).unmet


def test_one_round_of_the_sweep_looks_at_all_that_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J1: a piece at a time, with a pause between two; each only as large as is allowed."""
    monkeypatch.setattr(healing, "SESSIONS", 3)
    monkeypatch.setattr(healing, "EDGES", 4)
    parents = [world.submit() for _ in range(9)]
    children = [world.submit(depends_on=parents[:n]) for n in (1, 2, 3, 9, 1, 4, 1, 1)]
    for child in children:
        world.client.hset(world.keys.session(child), "unmet", 77)
    chores = GraphChores(world.client, world.keys, world.graphs._clock, GROUP)

    pieces = [chores.sweep()]
    while chores.under_way:
        chores._next = 0.0
        pieces.append(chores.go_on())

    assert sorted(children) == sorted(move.session for piece in pieces for move in piece)
    assert all(len(piece) <= 3 for piece in pieces)
    for piece in pieces:
        world.apply(*piece)
    assert [1, 2, 3, 9, 1, 4, 1, 1] == [world.get(child).unmet for child in children]
    assert [] == chores.sweep()
    assert [] == chores.go_on(), "it is not time yet"


def test_a_look_puts_right_as_much_as_one_script_may(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healing, "HEALED", 2)
    parent = world.submit()
    children = [world.submit(depends_on=[parent]) for _ in range(5)]
    world.client.delete(world.keys.dependents(parent))
    chores = GraphChores(world.client, world.keys, world.graphs._clock, GROUP)

    first = chores.sweep()
    world.apply(*first)
    assert 2 == len(first)
    assert chores.go_on(), "what is wrong is gone on with at once"
    heal(world)
    assert set(children) == world.client.smembers(world.keys.dependents(parent))


@pytest.mark.parametrize(
    ("policy", "state"), [("cancel", S.CANCELLED), ("ignore", S.READY), ("hold", S.PENDING)]
)
def test_a_parent_that_is_gone_is_decided_by_the_edge(world: World, policy: str, state: S) -> None:
    """J1: its record was lost, as by a failover."""
    parent = world.submit()
    child = world.submit(depends_on={parent: policy})
    world.client.delete(world.keys.session(parent), world.keys.dependents(parent))
    world.client.zrem(world.keys.state(GROUP, S.READY), parent)

    heal(world)

    assert state is world.state(child)
    if policy != "ignore":
        assert f"dependency {parent} is gone" in world.get(child).reason
    world.client.delete(world.keys.held(parent))
