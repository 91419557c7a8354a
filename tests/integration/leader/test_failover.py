"""What a leader finds on a Redis that lost writes, is another one, or is full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
import redis

from scheduler.domain.errors import Deposed, StoreUnavailable
from scheduler.domain.moves import Tell
from scheduler.domain.states import KernelState, SessionState
from scheduler.leader.reign import Reign
from scheduler.store.leadership import LeaderStore
from scheduler.testing import WatchedRedis
from scheduler.testing.watched import client_of
from tests.integration.leader.test_reign import overdue, reign, turn_until
from tests.integration.leader.test_takeover import leads_after, tenure
from tests.integration.leader.world import GROUP, Cluster, FakeAgent, stays

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
FAR = "99999999999999-0"


def admitted(cluster: Cluster, made: Reign, name: str = "a1") -> FakeAgent:
    agent = cluster.boot(name).register()
    turn_until(made, lambda: agent.beat().word == "ok")
    return agent


def replaced(cluster: Cluster) -> Reign:
    """A term that begins on another Redis than the last one saw."""
    cluster.store.client.hset(cluster.store.keys.group(GROUP), "server", "another")
    return reign(cluster)


def running(cluster: Cluster, made: Reign, agent: FakeAgent) -> str:
    (session,) = cluster.submit()
    turn_until(made, agent.take)
    agent.up(list(agent.running.values()))
    turn_until(made, lambda: cluster.get(session).state is S.RUNNING)
    return session


def test_reports_are_heard_although_the_cursor_is_beyond_their_stream(cluster: Cluster) -> None:
    """Else every report would count as applied until Redis' clock reached the cursor."""
    reign(cluster)
    keys = cluster.store.keys
    cluster.store.client.hset(keys.leadership(GROUP), "cursor", FAR)

    made = reign(cluster)
    agent = admitted(cluster, made)
    session = running(cluster, made, agent)
    agent.end(list(agent.running.values()))
    turn_until(made, lambda: cluster.get(session).state is S.SUCCEEDED)

    assert FAR != cluster.store.client.hget(keys.leadership(GROUP), "cursor")


def test_requests_are_heard_although_the_cursor_is_beyond_their_stream(cluster: Cluster) -> None:
    made = reign(cluster)
    agent = admitted(cluster, made)
    session = running(cluster, made, agent)
    cluster.store.client.hset(cluster.store.keys.leadership(GROUP), "inbox", FAR)

    made = reign(cluster)
    cluster.store.sessions.cancel(session)

    turn_until(made, lambda: cluster.get(session).state is S.TERMINATING)
    assert made._state.inbox_cursor != FAR


@pytest.mark.parametrize("leads", [True, False])
def test_requests_that_were_trimmed_unread_are_made_good(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, leads: bool
) -> None:
    """More than the inbox keeps came while nobody read it."""
    monkeypatch.setattr("scheduler.store.leadership.INBOX_CAP", 300)
    made = reign(cluster)
    agent = admitted(cluster, made)
    session = running(cluster, made, agent)
    keys, client = cluster.store.keys, cluster.store.client
    cluster.store.sessions.cancel(session)
    for number in range(400):
        client.xadd(keys.inbox(GROUP), {"kind": "resolve", "what": str(number)})
    client.xtrim(keys.inbox(GROUP), maxlen=300, approximate=False)

    made = made if leads else reign(cluster)
    turn_until(made, lambda: cluster.get(session).state is S.TERMINATING)

    told = [event for event in cluster.store.events.newest(1_000) if event.name == "inbox.overran"]
    assert int(leads) == len(told)


def test_a_kernel_of_a_lost_placement_is_stopped_before_anything_is_placed(
    cluster: Cluster,
) -> None:
    """Architecture 5: kill and confirm placements nobody knows."""
    agent = admitted(cluster, reign(cluster))
    stray = f"{'0' * 26}-0-{'f' * 32}"
    made = replaced(cluster)
    (session,) = cluster.submit()
    keys, client = cluster.store.keys, cluster.store.client

    def told() -> bool:
        agent.mailbox.beat(agent.boot, 60_000, claims=0, running=[stray])
        return bool(client.hget(keys.stops("a1"), stray))

    turn_until(made, told)
    for _ in range(5):
        made.run_once()
    held = cluster.get(session).state
    turn_until(
        made, lambda: agent.beat().word == "ok" and cluster.get(session).state is S.SCHEDULED
    )

    assert (S.READY, f"stop-{stray}") == (held, client.lindex(keys.rq_queue("a1"), 0))


def test_the_hold_is_left_to_the_next_leader(cluster: Cluster) -> None:
    """One that dies while it holds must not have noted that all is well."""
    agent = admitted(cluster, reign(cluster))
    replaced(cluster).run_once()
    (session,) = cluster.submit()

    made = reign(cluster)
    for _ in range(5):
        made.run_once()

    assert (True, S.READY) == (made.chores.holding, cluster.get(session).state)
    turn_until(made, lambda: agent.beat().word == "ok" and not made.chores.holding)
    assert 1 == sum(e.name == "epoch.began" for e in cluster.store.events.newest(1_000))


def test_a_claim_that_was_lost_is_learned_from_beats(cluster: Cluster) -> None:
    """The order lies there again, the kernel runs: it must not be withdrawn and placed elsewhere."""
    made = reign(cluster)
    agent = admitted(cluster, made)
    (session,) = cluster.submit()
    turn_until(made, lambda: cluster.get(session).state is S.SCHEDULED)
    order = cluster.get(session).kernels[0]
    named = f"{session}-0-{cluster.get(session).placement}"
    overdue(cluster, session)

    made = replaced(cluster)
    turn_until(
        made,
        lambda: (
            agent.mailbox.beat(agent.boot, 60_000, claims=1, running=[named]).word == "ok"
            and cluster.get(session).state is S.RUNNING
        ),
    )

    kernel = cluster.get(session).kernels[0]
    assert (order.boot, KernelState.UP, 1) == (
        kernel.boot,
        kernel.state,
        cluster.get(session).attempt,
    )


def test_a_change_of_redis_that_no_call_noticed_is_noticed(cluster: Cluster) -> None:
    """The picture may be ahead of what the new Redis knows: it is read anew."""
    made = reign(cluster)
    admitted(cluster, made)
    before = made._state
    cluster.store.client.hset(cluster.store.keys.group(GROUP), "server", "another")
    made._redis = "another"

    turn_until(made, lambda: made.chores.holding)

    assert made._state is not before


def test_a_full_redis_gets_a_leader(cluster: Cluster) -> None:
    """python-redis-lock's SET NX is refused there; extending and releasing are not."""
    client = cluster.store.client
    first = cluster.leader("r1")
    client.config_set("maxmemory", 1)
    try:
        first.stop()
        second = cluster.replica("r2")
        leads_after(second)
        nonce = tenure(second).term.nonce
        stays_leader = stays(lambda: bool(second.health()["leads"]), for_=1.5)
        second.stop()
        lock = cluster.store.leadership.show(GROUP)["lock"]
    finally:
        client.config_set("maxmemory", 0)

    assert (True, "") == (stays_leader, lock)
    assert nonce


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[WatchedRedis]:
    made = WatchedRedis(tmp_path).start()
    yield made
    made.stop()


def written(server: redis.Redis, cluster: Cluster) -> dict[str, object]:
    """All there is but what expires by itself."""
    found = cast("list[str]", sorted(server.scan_iter(f"{cluster.namespace}:*", count=1_000)))
    return {key: server.dump(key) for key in found if server.ttl(key) < 0}


def test_a_primary_that_was_cut_off_is_left_and_nothing_is_written_there(
    watched: WatchedRedis,
) -> None:
    """X1: it answers as ever; its clients must find out by themselves that another one was elected."""
    cluster = Cluster(watched.url, f"t{uuid4().hex[:8]}")
    first = cluster.leader("r1", not_ready_after="1s")
    cluster.replica("r2", not_ready_after="1s")
    cluster.agent("a1").start()
    done = cluster.submit(5)
    for session in done:
        cluster.reach(session, S.SUCCEEDED)
    old = tenure(first).term
    watched.wait_in_sync()
    with client_of(watched.first) as cut_off, client_of(watched.second) as promoted:
        late = LeaderStore(cut_off, cut_off, cluster.store.keys, old)
        cut_off.config_set("min-replicas-to-write", 1)
        watched.elect_second_behind_the_back_of_first()
        before = written(cut_off, cluster)
        with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
            late.apply([Tell(GROUP, "agents.storm", "too late")])

        for session in cluster.submit(5):
            cluster.reach(session, S.SUCCEEDED, within=30)

        promoted.delete(cluster.store.keys.lock(GROUP))
        late = LeaderStore(promoted, promoted, cluster.store.keys, old)
        with pytest.raises(Deposed):
            late.apply([])
        assert before == written(cut_off, cluster)
    cluster.close()
