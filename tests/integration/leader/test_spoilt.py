"""A record that makes no sense, or is gone, harms itself and nobody else; and it is said."""

from __future__ import annotations

import pytest

from scheduler.domain.agent import AgentStatus
from scheduler.domain.errors import PendingLimitReached
from scheduler.domain.scope import GLOBAL, Scope, ScopeLimits, ScopeUse
from scheduler.domain.states import SessionState
from scheduler.leader.watch import WatchRules
from scheduler.operations.doctor import unwell
from scheduler.store.miscounts import ScopeCounts
from tests.integration.leader.test_reign import reign, turn_until
from tests.integration.leader.world import GROUP, Cluster, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
#: What an agent's record may be spoilt with, by a hand or by a newer program.
NONSENSE = {
    "status": "half-ready",
    "lease_ms": "soon",
    "labels": "[1",
    "max_kernels": "many",
    "free:mem": "plenty",
}


def spoil(cluster: Cluster, agent: str, **fields: str) -> None:
    for name, text in fields.items():
        cluster.store.client.hset(cluster.store.keys.record(agent), name, text)


def lose_request(cluster: Cluster, session: str) -> None:
    """As if the record of what was asked had been deleted."""
    cluster.store.client.delete(cluster.store.keys.request(cluster.get(session).request.id))


def test_one_spoilt_agent_does_not_keep_a_leader_from_the_others(cluster: Cluster) -> None:
    """W4: the term begins, the others get work, the doctor names the spoilt one and what to do."""
    cluster.leader("r1")
    spoilt = cluster.agent("a1")
    cluster.replicas[-1].stop()
    spoil(cluster, "a1", **NONSENSE)
    cluster.leader("r3")
    well = cluster.agent("a2").start()
    (session,) = cluster.submit()

    cluster.reach(session, S.SUCCEEDED)

    data = cluster.store.agents.get("a1")
    (says,) = unwell(data, None, 0, 0)
    assert [session] == [order[:26] for order in well.started]
    assert set(NONSENSE) >= set(data.unreadable) >= {"lease_ms", "labels", "free:mem"}
    assert "a1 has a spoilt record" in says
    assert "restart the agent" in says
    assert [] == spoilt.started


def test_what_runs_on_a_spoilt_agent_ends_and_its_next_boot_mends_the_record(
    cluster: Cluster,
) -> None:
    """Slots that cannot be counted must not stop the script that ends the session."""
    cluster.leader()
    old = cluster.agent("a1")
    (running,) = cluster.submit(slots={"cpu": "1", "mem": "64MiB"})
    old.up(taken := old.taken())
    cluster.reach(running, S.RUNNING)
    spoil(cluster, "a1", **{"free:mem": "plenty", "free:cpu": "1.5"})
    old.end(taken)
    cluster.reach(running, S.SUCCEEDED)

    cluster.boot("a1").register(swept=old.boot).admitted()

    record = cluster.store.agents.get("a1")
    assert ((), record.capacity) == (record.unreadable, record.free)


def test_a_status_nobody_knows_is_put_right_by_the_next_look(cluster: Cluster) -> None:
    cluster.leader()
    cluster.agent("a1").start()
    cluster.replicas[-1].stop()
    spoil(cluster, "a1", status="half-ready")

    cluster.leader("r2")

    wait_until(
        lambda: cluster.store.agents.get("a1").status is AgentStatus.READY, saying="it is ready"
    )
    assert () == cluster.store.agents.get("a1").unreadable


@pytest.mark.parametrize("text", ["", "no beat", "[]", '{"at":"x"}', '{"at":1,"boot":"b"}'])
def test_a_beat_that_makes_no_sense_is_no_beat(cluster: Cluster, text: str) -> None:
    """An agent writes it, so nothing it says may end a term."""
    made = reign(cluster)
    agent = cluster.boot().register()
    turn_until(made, lambda: agent.beat().word == "ok")
    cluster.store.client.set(cluster.store.keys.beat("a1"), text)
    (session,) = cluster.submit()

    made.chores.beats(caught_up=True)
    turn_until(made, lambda: cluster.get(session).state is S.SCHEDULED)

    assert {} == cluster.store.agents.beats(["a1"])


def test_a_waiting_session_whose_request_is_gone_fails_with_a_sentence(cluster: Cluster) -> None:
    """It would wait for ever: nobody knows what it needs."""
    (gone,) = cluster.submit(slots={"cpu": "300m"})
    (well,) = cluster.submit()
    lose_request(cluster, gone)
    explained = cluster.app.session(gone).explain().says
    cluster.leader()
    cluster.agent().start()

    data = cluster.reach(gone, S.FAILED)

    assert "what it asked for is gone from Redis; submit it again" == data.reason
    assert "can never be placed; submit it again" in explained
    cluster.reach(well, S.SUCCEEDED)
    assert 0 == cluster.store.leadership.show(GROUP).get("late_writes", 0)


@pytest.mark.parametrize("then", ["cancelled", "refused by the leader"])
def test_what_a_session_without_its_request_counted_is_given_back(
    cluster: Cluster, then: str
) -> None:
    """K8: whoever ends it cannot tell what it counted; the chore of counting anew can."""
    scope = Scope("keypair", "k")
    cluster.store.scopes.limit(scope, ScopeLimits(max_pending_sessions=1))
    (gone,) = cluster.submit(keypair="k")
    lose_request(cluster, gone)
    if then == "cancelled":
        cluster.app.session(gone).cancel()
    cluster.leader()
    cluster.reach(gone, S.CANCELLED if then == "cancelled" else S.FAILED)
    with pytest.raises(PendingLimitReached):
        cluster.submit(keypair="k")

    found = ScopeCounts(cluster.store.client, cluster.store.keys).mend()

    assert "scope keypair k counts pending 1, there are 0" in [wrong.says for wrong in found or ()]
    assert 0 == cluster.store.scopes.read([scope])[scope].pending
    cluster.agent().start()
    (well,) = cluster.submit(keypair="k")
    cluster.reach(well, S.SUCCEEDED)


def test_a_running_session_whose_request_is_gone_runs_to_its_end(cluster: Cluster) -> None:
    """The next leader, too, looks after it, and gives back what it holds."""
    first = cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(keypair="k")
    agent.up(taken := agent.taken())
    cluster.reach(session, S.RUNNING)
    first.stop()
    lose_request(cluster, session)
    cluster.leader("r2")

    agent.end(taken)

    cluster.reach(session, S.SUCCEEDED)
    record = cluster.store.agents.get("a1")
    uses = cluster.store.scopes.read([GLOBAL, Scope("keypair", "k")])
    assert record.capacity == record.free
    assert [ScopeUse()] * 2 == list(uses.values())


def test_a_running_session_whose_request_is_gone_is_not_tried_again(cluster: Cluster) -> None:
    first = cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(retries=3)
    agent.up(agent.taken())
    cluster.reach(session, S.RUNNING)
    first.stop()
    lose_request(cluster, session)
    cluster.leader("r2")

    agent.leave()

    assert "agent a1 was stopped" in cluster.reach(session, S.FAILED).why


def test_notes_of_former_terms_are_forgotten_once_nobody_waits_with_them(cluster: Cluster) -> None:
    """A kind of request may never come again; its note would stay for as long as its group."""
    first = reign(cluster)
    (session,) = cluster.submit()
    notes = cluster.store.keys.verdicts(GROUP)
    turn_until(first, lambda: cluster.store.client.hlen(notes) == 1)
    (waiting,) = cluster.submit(slots={"cpu": "200m"})
    turn_until(first, lambda: cluster.store.client.hlen(notes) == 2)
    cluster.store.sessions.cancel(session)

    second = reign(cluster)
    turn_until(second, lambda: cluster.store.client.hlen(notes) == 1)

    assert cluster.get(waiting).request.id in cluster.store.client.hkeys(notes)


def test_a_stop_for_a_kernel_nobody_knows_goes_once_it_is_carried_out(cluster: Cluster) -> None:
    """Only the agent knows when: no session ends with it."""
    made = reign(cluster)
    agent = cluster.boot().register()
    turn_until(made, lambda: agent.beat().word == "ok")
    stray = f"{'0' * 26}-0-{'f' * 32}"
    made.chores._p.watch._rules = WatchRules(500, 100, 60_000)
    stops = cluster.store.keys.stops("a1")

    def beat(running: list[str], over: list[str]) -> dict[str, str]:
        said = agent.mailbox.beat(agent.boot, 60_000, claims=0, running=running, over=over)
        return dict(said.stops)

    turn_until(made, lambda: beat([stray], []))
    told = beat([], [stray])

    assert ({}, 0) == (told, cluster.store.client.exists(stops))
