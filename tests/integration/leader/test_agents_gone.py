"""Agents that fall silent, leave, come back as another boot, or are drained."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from scheduler.domain.agent import AgentStatus
from scheduler.domain.errors import AgentBeats
from scheduler.domain.scope import GLOBAL
from scheduler.domain.states import SessionState
from scheduler.leader import reports
from scheduler.protocol.order import StartOrder
from tests.integration.leader.world import Cluster, FakeAgent, stays, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
#: Silence of 300 ms is noticed; a lease of 400 ms and a margin of 100 ms make an agent lost.
QUICK = {"not_ready_after": "300ms"}
LEASE = 400


def status(cluster: Cluster, agent: str = "a1") -> AgentStatus:
    return cluster.store.agents.get(agent).status


def run_one(cluster: Cluster, agent: FakeAgent, *others: FakeAgent, **asked: Any) -> str:
    """A session that runs on the agent; all of them fall silent then, and not before."""
    (session,) = cluster.submit(**asked)

    def runs() -> bool:
        for each in (agent, *others):
            each.beat()
        agent.up(agent.take())
        return cluster.get(session).state is S.RUNNING

    wait_until(runs, saying="it runs")
    return session


def test_a_silent_agent_is_not_ready_then_lost_and_its_session_runs_elsewhere(
    cluster: Cluster,
) -> None:
    """W4, X2; architecture 8 and 9."""
    cluster.leader(**QUICK)
    dying = cluster.agent("a1", lease_ms=2_500)
    session = run_one(cluster, dying)
    other = cluster.agent("a2").start()
    wait_until(lambda: status(cluster) is AgentStatus.NOT_READY, saying="a1 is not ready")
    early = cluster.get(session).state
    wait_until(lambda: status(cluster) is AgentStatus.LOST, saying="a1 is lost")

    data = cluster.reach(session, S.SUCCEEDED)

    assert (S.RUNNING, 1, 2, [session]) == (
        early,
        data.rescues,
        data.attempt,
        [o[:26] for o in other.started],
    )
    record = cluster.store.agents.get("a1")
    assert (record.capacity, set()) == (record.free, cluster.store.scopes.members(GLOBAL))


def test_a_silent_agent_that_beats_again_in_time_keeps_its_kernels(cluster: Cluster) -> None:
    cluster.leader(**QUICK)
    agent = cluster.agent(lease_ms=20_000)
    session = run_one(cluster, agent)
    wait_until(lambda: status(cluster) is AgentStatus.NOT_READY, saying="it is not ready")

    agent.start(holding=True)

    wait_until(lambda: status(cluster) is AgentStatus.READY, saying="it is back")
    assert (S.RUNNING, 0) == (cluster.get(session).state, cluster.get(session).rescues)


def test_a_session_that_must_not_die_by_lease_waits_for_its_agent(cluster: Cluster) -> None:
    """Architecture 8: on_lost keep."""
    cluster.leader(**QUICK)
    agent = cluster.agent(lease_ms=LEASE)
    session = run_one(cluster, agent, on_lost="keep")
    wait_until(lambda: status(cluster) is AgentStatus.LOST, saying="it is lost")
    kept = (cluster.get(session).state, cluster.store.scopes.members(GLOBAL))

    cluster.store.agents.declare_lost("a1", force=True)

    assert (S.RUNNING, {session}) == kept
    assert "an operator said that agent a1 is lost" == cluster.reach(session, S.FAILED).error


def test_an_agent_that_beats_is_not_declared_lost_without_a_question(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent()
    session = run_one(cluster, agent)

    with pytest.raises(AgentBeats, match=r"Agent a1 beats, \d+\.\d s ago: its kernels live"):
        cluster.store.agents.declare_lost("a1")

    assert (AgentStatus.READY, S.RUNNING) == (status(cluster), cluster.get(session).state)


def test_one_that_is_declared_lost_and_lives_is_told_to_stop_and_gets_nothing_before_it_did(
    cluster: Cluster,
) -> None:
    """Its slots count as free in the record, while the old kernel still runs."""
    cluster.leader()
    agent = cluster.agent()
    session = run_one(cluster, agent)
    (old,) = agent.running

    cluster.store.agents.declare_lost("a1", force=True)
    wait_until(lambda: cluster.get(session).state is S.READY, saying="it is rescued")
    told = list(agent.beat().stops)
    waits = stays(
        lambda: (
            (agent.beat().word, cluster.get(session).state, status(cluster))
            == ("ok", S.READY, AgentStatus.LOST)
        ),
        for_=4,
    )
    agent.running.clear()

    def beats_and_takes() -> list[StartOrder]:
        agent.beat()
        return agent.take()

    wait_until(beats_and_takes, saying="it gets the session again")

    assert ([old], True) == (told, waits)
    assert (AgentStatus.READY, [session]) == (
        status(cluster),
        [o.session for o in agent.running.values()],
    )


def test_an_other_boot_waits_for_one_that_was_declared_lost_and_beats(cluster: Cluster) -> None:
    cluster.leader()
    old = cluster.agent()
    run_one(cluster, old)
    cluster.store.agents.declare_lost("a1", force=True)
    wait_until(lambda: status(cluster) is AgentStatus.LOST, saying="it is lost")

    new = cluster.boot("a1").register()

    wait_until(lambda: new.beat().word == "wait", saying="it waits")


def test_a_boot_that_swept_its_predecessor_is_admitted_at_once(cluster: Cluster) -> None:
    """Architecture 8: sessions run again 5 s after it is admitted."""
    cluster.leader()
    old = cluster.agent()
    session = run_one(cluster, old)

    new = cluster.boot("a1").register(swept=old.boot).admitted()

    new.end(new.taken())
    data = cluster.reach(session, S.SUCCEEDED)
    assert (1, "superseded") == (data.rescues, old.beat().word)


def test_a_boot_that_did_not_sweep_waits_for_the_lease_and_is_then_admitted(
    cluster: Cluster,
) -> None:
    """Architecture 8; it does not ask twice."""
    cluster.leader(**QUICK)
    old = cluster.agent(lease_ms=3_000)
    session = run_one(cluster, old)
    new = cluster.boot("a1").register()
    wait_until(lambda: new.beat().word == "wait", saying="it waits")
    early = cluster.get(session).state

    new.admitted()

    new.end(new.taken())
    assert (S.RUNNING, 1) == (early, cluster.reach(session, S.SUCCEEDED).rescues)


def test_a_twin_is_told_that_another_boot_beats_and_forgotten_when_it_leaves(
    cluster: Cluster,
) -> None:
    """What was noted of it stood for as long as the other boot lived."""
    cluster.leader()
    agent = cluster.agent()
    twin = cluster.boot("a1")

    def told() -> str:
        agent.beat()
        twin.register()
        return cluster.store.agents.get("a1").candidate

    says = f"{twin.boot} boot {agent.boot[:8]} of it beats; an id is for one agent at a time"
    wait_until(lambda: told() == says, saying="it is told")
    for _ in range(5):
        told()
    twin.leave()

    wait_until(lambda: not cluster.store.agents.get("a1").candidate, saying="the note is gone")
    events = [
        e.fields["reason"] for e in cluster.store.events.newest(50) if e.name == "agent.waiting"
    ]
    assert ([says.partition(" ")[2]], "superseded") == (events[-1:], twin.beat().word)
    assert len(events) <= 2


def test_a_twin_that_asks_no_more_is_forgotten_by_the_next_leader_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "GONE_AFTER_MS", 1_000)
    first = cluster.leader("r1")
    agent = cluster.agent()
    twin = cluster.boot("a1")
    wait_until(lambda: twin.register().beat().word == "wait", saying="it waits")
    first.stop()

    cluster.leader("r2")

    wait_until(lambda: not cluster.store.agents.get("a1").candidate, saying="the note is gone")
    assert agent.boot == cluster.store.agents.get("a1").boot


def test_who_asked_a_leader_to_come_again_and_again_is_admitted_once(cluster: Cluster) -> None:
    """Each 3 s while nobody leads; a twin that asked in between waits."""
    first, twin = cluster.boot("a1"), cluster.boot("a1")
    for boot in (first, first, twin, first, first):
        boot.register()

    with capture_logs() as said:
        cluster.leader()
        wait_until(lambda: first.beat().word == "ok", saying="the first is admitted")
        wait_until(lambda: twin.beat().word in ("wait", "superseded"), saying="its twin is not")

    assert [first.boot[:8]] == [line["boot"] for line in said if line["event"] == "agent.admitted"]
    assert first.boot == cluster.store.agents.get("a1").boot


def test_an_agent_that_leaves_gives_its_sessions_back_at_once(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent("a1")
    session = run_one(cluster, agent)
    other = cluster.agent("a2")

    agent.leave()

    assert session == other.taken()[0].session
    assert AgentStatus.LEFT is status(cluster)


def test_a_boot_that_follows_a_goodbye_need_not_wait(cluster: Cluster) -> None:
    """Both may be read in one breath."""
    cluster.leader()
    old = cluster.agent()
    old.leave()

    new = cluster.boot("a1").register()

    wait_until(lambda: new.beat().word == "ok", within=60, saying="it is admitted")
    assert new.boot == cluster.store.agents.get("a1").boot


def test_a_drained_agent_gets_nothing_new_and_keeps_what_runs(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent()
    running = run_one(cluster, agent)
    cluster.store.agents.drain("a1")
    (waiting,) = cluster.submit()
    rests = stays(lambda: cluster.get(waiting).state is S.READY, for_=0.3)

    cluster.store.agents.undrain("a1")

    assert (True, waiting, S.RUNNING) == (
        rests,
        agent.taken()[0].session,
        cluster.get(running).state,
    )


def test_an_agent_of_another_group_is_refused_with_a_sentence(cluster: Cluster) -> None:
    cluster.replica(groups=["default", "other"])
    cluster.agent("a1")

    stranger = cluster.boot("a1", group="other").register()

    wait_until(lambda: stranger.beat().word == "refused", saying="it is refused")
    assert "an agent of that id belongs to group default" in stranger.beat().reason


def test_a_session_that_fits_no_agent_any_more_is_refused_after_a_removal(cluster: Cluster) -> None:
    """Architecture 4: refuse."""
    cluster.leader()
    large = cluster.agent("large", cpu=8_000)
    cluster.agent("small", cpu=1_000)
    cluster.store.agents.drain("large")
    sessions = cluster.submit(5, slots={"cpu": "4"})
    large.leave()
    wait_until(lambda: status(cluster, "large") is AgentStatus.LEFT, saying="it left")

    cluster.store.agents.remove("large")

    for session in sessions:
        assert "it can never run here: it asks for cpu=4" in cluster.reach(session, S.FAILED).reason


def test_a_kernel_its_agent_runs_no_more_is_run_again(cluster: Cluster) -> None:
    """Architecture 8: two misses."""
    cluster.leader()
    agent = cluster.agent()
    session = run_one(cluster, agent)
    agent.running.clear()

    def look() -> list[StartOrder]:
        agent.beat()
        return agent.take()

    again = wait_until(look, saying="it is placed again")

    assert (session, 1) == (again[0].session, cluster.get(session).rescues)


def test_many_agents_silent_at_once_are_not_rescued_and_it_is_said(cluster: Cluster) -> None:
    """Architecture 8: the storm."""
    cluster.leader(**QUICK, storm_pause="60s")
    agents = [cluster.agent(f"a{i}", lease_ms=LEASE) for i in range(3)]
    session = run_one(cluster, *agents)

    def said() -> list[str]:
        return [
            e.fields["reason"] for e in cluster.store.events.newest(200) if e.name == "agents.storm"
        ]

    wait_until(said, saying="the storm is told")

    assert ["3 of 3 agents fell silent at once; nothing is rescued for now"] == said()
    assert S.RUNNING is cluster.get(session).state
