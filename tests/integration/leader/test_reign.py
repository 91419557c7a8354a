"""One term, turn by turn in the test's own thread: what a leader finds that another one left."""

from __future__ import annotations

from threading import Thread

import pytest

from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import StoreUnavailable
from scheduler.domain.ids import new_nonce
from scheduler.domain.moves import Over, Reach
from scheduler.domain.scope import GLOBAL, ScopeLimits
from scheduler.domain.states import SessionState
from scheduler.leader.reign import Every, Reign, ReignSettings
from scheduler.leader.state import load_agents
from scheduler.leader.watch import WatchRules
from scheduler.store.connection import connect
from scheduler.store.script import Line
from tests.integration.leader.world import GROUP, SECRET, Cluster, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState


def reign(cluster: Cluster) -> Reign:
    """Take the lock by force and load."""
    nonce, store = new_nonce(), cluster.store
    store.client.set(store.keys.lock(GROUP), nonce)
    term = store.leadership.elect(GROUP, nonce, "by hand", "0")
    assert term is not None
    settings = ReignSettings(
        secret=SECRET,
        namespace=cluster.namespace,
        watch=WatchRules(20_000, 100, 60_000),
        sweep_ms=100,
        retry_initial_ms=50,
    )
    clients = (store.client, cluster.owns(connect(cluster.url)))
    made = Reign(term, clients, settings, SystemClock(), lambda: True)
    made.load()
    return made


def turn_until(made: Reign, predicate: object, *, within: float = 30.0) -> None:
    """Turns until it is true."""

    def look() -> bool:
        made.run_once()
        return bool(predicate())  # type: ignore[operator]

    wait_until(look, within=within)


def started(cluster: Cluster, first: Reign, count: int) -> list[str]:
    """Sessions whose agent has claimed and started them, and told so; nobody has heard it yet."""
    agent = cluster.boot().register(cpu=64_000)
    turn_until(first, lambda: agent.beat().word == "ok")
    sessions = cluster.submit(count)
    turn_until(first, lambda: cluster.store.sessions.counts(GROUP)[S.SCHEDULED] == count)
    for _ in range(-(-count // 100)):
        agent.up(agent.take())
    assert count == len(agent.running)
    return sessions


def overdue(cluster: Cluster, *sessions: str) -> None:
    """The claim timeout of these is over, as far as a leader knows."""
    cluster.store.client.zadd(cluster.store.keys.timers(GROUP), dict.fromkeys(sessions, 1), xx=True)


def test_what_was_claimed_while_nobody_led_is_heard_before_the_claim_timeout_counts(
    cluster: Cluster,
) -> None:
    """What agents say while no leader lives is kept: no kernel that runs is stopped."""
    first = reign(cluster)
    sessions = started(cluster, first, 450)
    overdue(cluster, *sessions)

    second = reign(cluster)
    turn_until(second, lambda: cluster.store.sessions.counts(GROUP)[S.RUNNING] == 450)

    assert {S.RUNNING} == {cluster.get(session).state for session in sessions[::50]}
    assert 0 == sum(
        event.name == "session.terminating" for event in cluster.store.events.newest(5_000)
    )


def test_a_session_whose_kernels_were_over_when_the_last_term_died_is_concluded(
    cluster: Cluster,
) -> None:
    """A batch of more than 200 moves is several scripts."""
    first = reign(cluster)
    (session,) = started(cluster, first, 1)
    turn_until(first, lambda: cluster.get(session).state is S.RUNNING)
    placement = cluster.get(session).placement
    first._repositories.leader.apply([Over(session, placement, 0, "0", "", "exited", "", "")])

    reign(cluster)

    assert (S.SUCCEEDED, set()) == (
        cluster.get(session).state,
        cluster.store.scopes.members(GLOBAL),
    )


def test_sessions_that_an_app_cancelled_leave_the_waiting_room(cluster: Cluster) -> None:
    """Nobody tells the leader; it notices with the sweep."""
    made = reign(cluster)
    sessions = cluster.submit(50)
    turn_until(made, lambda: len(made._state.waiting) == 50)

    for session in sessions[:20]:
        cluster.store.sessions.cancel(session)

    turn_until(made, lambda: len(made._state.waiting) == 30)
    assert set(sessions[20:]) == made._state.waiting.ids()


def test_submits_are_admitted_again_where_the_last_term_left_them_refused(cluster: Cluster) -> None:
    """Architecture 6."""
    first = reign(cluster)
    first._repositories.leader.apply([Reach(GROUP, "[]", "85", "")])

    made = reign(cluster)
    made.run_once()

    assert 1 == len(cluster.submit())


def test_a_refusal_is_forgotten_once_its_cure_came(cluster: Cluster) -> None:
    """X3: explain must not tell yesterday's reasons."""
    cluster.store.scopes.limit(GLOBAL, ScopeLimits(0))
    made = reign(cluster)
    agent = cluster.boot().register()
    (session,) = cluster.submit()
    request = cluster.get(session).request.id
    turn_until(made, lambda: cluster.store.sessions.verdict(GROUP, request))
    agent.beat()

    cluster.store.scopes.limit(GLOBAL, ScopeLimits(None))
    turn_until(made, lambda: cluster.get(session).state is S.SCHEDULED)

    assert None is cluster.store.sessions.verdict(GROUP, request)


def test_a_refusal_is_forgotten_once_nobody_waits_with_it(cluster: Cluster) -> None:
    made = reign(cluster)
    (session,) = cluster.submit()
    request = cluster.get(session).request.id
    turn_until(made, lambda: cluster.store.sessions.verdict(GROUP, request))

    cluster.store.sessions.cancel(session)

    turn_until(made, lambda: cluster.store.sessions.verdict(GROUP, request) is None)


def test_a_term_waits_when_there_is_nothing_to_do(cluster: Cluster) -> None:
    """Architecture 7: never a busy loop."""
    made = reign(cluster)

    turn_until(made, lambda: made._patience() > 0)

    assert made._busy is False


def test_a_leader_that_saw_another_redis_before_holds_placing_until_agents_were_heard(
    cluster: Cluster,
) -> None:
    """Architecture 5: after a failover or a restart."""
    first = reign(cluster)
    agent = cluster.boot().register()
    turn_until(first, lambda: agent.beat().word == "ok")
    cluster.store.client.hset(cluster.store.keys.group(GROUP), "server", "another")
    second = reign(cluster)
    (session,) = cluster.submit()
    for _ in range(3):
        second.run_once()
    held = cluster.get(session).state

    turn_until(
        second, lambda: agent.beat().word == "ok" and cluster.get(session).state is S.SCHEDULED
    )

    assert S.READY is held


def test_an_order_that_no_placement_knows_is_stopped(cluster: Cluster) -> None:
    """Architecture 5: kill placements that nobody knows."""
    made = reign(cluster)
    agent = cluster.boot().register()
    turn_until(made, lambda: agent.beat().word == "ok")
    stray = f"{'0' * 26}-0-{'f' * 32}"
    made.chores._p.watch._rules = WatchRules(500, 100, 60_000)

    turn_until(
        made,
        lambda: (
            cluster.store.client.hget(cluster.store.keys.stops("a1"), stray)
            or agent.mailbox.beat(agent.boot, 60_000, claims=0, running=[stray]) is None
        ),
    )

    assert [f"stop-{stray}"] == cluster.store.client.lrange(
        cluster.store.keys.rq_queue("a1"), 0, -1
    )


def test_a_paused_group_places_nothing_and_looks_after_what_runs(cluster: Cluster) -> None:
    """K17."""
    made = reign(cluster)
    (running,) = started(cluster, made, 1)
    cluster.store.groups.pause(GROUP, "new disks")
    cluster.submit(3)
    turn_until(made, lambda: len(made._state.waiting) == 3)

    (agent,) = cluster.agents
    agent.end(list(agent.running.values()))
    turn_until(made, lambda: cluster.get(running).state is S.SUCCEEDED)
    assert 3 == cluster.store.sessions.counts(GROUP)[S.READY]

    second = reign(cluster)
    turn_until(second, second.chores.hold_over)
    second.run_once()
    assert 3 == cluster.store.sessions.counts(GROUP)[S.READY], "a pause outlives its leader"

    cluster.store.groups.resume(GROUP)
    turn_until(second, lambda: cluster.store.sessions.counts(GROUP)[S.READY] == 0)


def test_all_are_placed_in_the_order_in_which_they_were_chosen(cluster: Cluster) -> None:
    """K2: a turn commits batch after batch; a busy Redis must not take a later one first."""
    first = reign(cluster)
    agent = cluster.boot().register(cpu=64_000)
    turn_until(first, lambda: agent.beat().word == "ok")
    sessions = cluster.submit(200)
    made = reign(cluster)
    busy = (
        "local function ms() local t = redis.call('TIME'); return t[1] * 1000 + t[2] / 1000 end;"
        "local till = ms() + 200; while ms() < till do end"
    )
    other = connect(cluster.url)
    slow = Thread(target=other.eval, args=(busy, 0))
    slow.start()
    made.dispatcher.run_once()
    slow.join()

    other.close()

    events = cluster.store.events.since("0-0", limit=5_000)
    assert sessions == [e.fields["session"] for e in events if e.name == "session.scheduled"]


def scheduled(cluster: Cluster) -> list[str]:
    events = cluster.store.events.since("0-0", limit=5_000)
    return [e.fields["session"] for e in events if e.name == "session.scheduled"]


@pytest.mark.parametrize("answered", [0, 1])
def test_commits_whose_answers_are_lost_are_read_again_and_none_is_placed_twice(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, answered: int
) -> None:
    """F4: two are under way at once; Redis may have run none of them, one or both."""
    agent = cluster.boot().register(cpu=64_000)
    turn_until(reign(cluster), lambda: agent.beat().word == "ok")
    sessions = cluster.submit(200)
    made = reign(cluster)
    read, reads = Line.read, [0]

    def lose(line: Line) -> None:
        if reads[0] == answered:
            assert len(line._sent) == 2
            line._connection.disconnect()
        reads[0] += 1
        read(line)

    with monkeypatch.context() as lost:
        lost.setattr(Line, "read", lose)
        with pytest.raises(StoreUnavailable):
            made.dispatcher.run_once()
    made.load()
    turn_until(made, lambda: cluster.store.sessions.counts(GROUP)[S.SCHEDULED] == 200)

    assert sorted(scheduled(cluster)) == sorted(sessions)
    assert (
        cluster.store.agents.many(["a1"])[0].free["cpu"] == made._state.agents.rows[0].free["cpu"]
    )


def test_what_was_decided_upon_refused_placements_is_put_right(cluster: Cluster) -> None:
    """K2: a turn decides on what it placed before, of which Redis refuses some, as an agent is full after all."""
    agents = [cluster.boot(name).register(cpu=60_000) for name in ("a1", "a2")]
    first = reign(cluster)
    turn_until(first, lambda: [agent.beat().word for agent in agents] == ["ok", "ok"])
    sessions = cluster.submit(100, slots={"cpu": "1"})
    made = reign(cluster)
    record = cluster.store.keys.record("a1")
    cluster.store.client.hset(record, "free:cpu", "25000")

    made.dispatcher.run_once()

    kept = {agent.id: agent.free["cpu"] for agent in cluster.store.agents.many(["a1", "a2"])}
    assert made.dispatcher.counts.stale == 60 - 25
    assert kept == {row.data.id: row.free["cpu"] for row in made._state.agents.rows}
    assert made._state.snapshot.scopes[GLOBAL].sessions == len(scheduled(cluster))
    assert made._state.snapshot.held[""]["cpu"] == 1_000 * len(scheduled(cluster))
    turn_until(made, lambda: cluster.store.sessions.counts(GROUP)[S.SCHEDULED] == 25 + 60)
    cluster.store.client.hincrby(record, "free:cpu", 15_000)
    load_agents(made._state, made._repositories, ["a1"])
    turn_until(made, lambda: cluster.store.sessions.counts(GROUP)[S.SCHEDULED] == 100)
    assert sorted(scheduled(cluster)) == sorted(sessions)


def test_what_was_submitted_after_a_pause_waits_though_the_sweep_meets_it_before_the_pause_is_heard(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also other options hold for all that was submitted after they were changed."""
    made = reign(cluster)
    agent = cluster.boot().register()
    turn_until(made, lambda: agent.beat().word == "ok")
    made._sweep = Every(0, SystemClock())
    hear, submitted = made._hear, set[str]()

    def hear_and_miss_both() -> bool:
        busy = hear()
        if not submitted:
            cluster.store.groups.pause(GROUP, "something is wrong")
            submitted.update(cluster.submit())
        return busy

    monkeypatch.setattr(made, "_hear", hear_and_miss_both)
    turn_until(made, lambda: made._paused)

    assert {S.READY} == {cluster.get(session).state for session in submitted}
