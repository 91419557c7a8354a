"""A session whose record makes no sense harms itself and nobody else; and it is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.domain.states import SessionState
from scheduler.operations.checks import Check
from scheduler.operations.doctor import examine
from scheduler.store.audit import AuditRepository
from tests.integration.leader.world import GROUP, Cluster, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
#: What a waiting session's record may be spoilt with, and what is told of it.
WAITING = {
    "priority": "abc",
    "seq": "x",
    "attempt": "one",
    "rescues": "1.5",
    "retries_from": "x",
    "history:1": "{",
}
#: The same of a placed one.
PLACED = {
    "priority": "abc",
    "attempt": "one",
    "kernels": "x",
    "kernel:0:slots": "[1",
    "kernel:0:state": "banana",
    "rescues": "many",
    "held": "[[",
    "history:1": "nonsense",
}


def spoil(cluster: Cluster, session: str, field: str, text: str) -> None:
    cluster.store.client.hset(cluster.store.keys.session(session), field, text)


def doctor(cluster: Cluster) -> Iterator[Check]:
    audit = AuditRepository(cluster.store.client, cluster.store.keys)
    return examine(cluster.store, audit, silent_after_ms=60_000, pause=lambda _: None)


def named_by_doctor(cluster: Cluster) -> str:
    """What the doctor says of records, having looked at everything."""
    return {check.name: check.says for check in doctor(cluster)}["records"]


@pytest.mark.parametrize("field", WAITING)
def test_a_spoilt_waiting_session_ends_with_a_sentence_and_the_others_run(
    cluster: Cluster, field: str
) -> None:
    """W4: whether it is met by a new leader, or told to one that leads."""
    (spoilt,) = cluster.submit(slots={"cpu": "300m"})
    spoil(cluster, spoilt, field, WAITING[field])
    told = named_by_doctor(cluster)
    wells = cluster.submit(3)
    cluster.leader()
    cluster.agent().start()

    for well in wells:
        cluster.reach(well, S.SUCCEEDED)

    if field == "history:1":  # only the whole record shows it, and nothing depends on it
        assert S.SUCCEEDED is cluster.reach(spoilt, S.SUCCEEDED).state
    else:
        data = cluster.reach(spoilt, S.FAILED)
        assert f"its record in Redis makes no sense ({field}); submit it again" == data.reason
        assert f"session {spoilt} has a spoilt record ({field}); cancel it" in told


@pytest.mark.parametrize("field", ["state", "group"])
def test_a_waiting_session_that_stands_nowhere_is_set_aside_until_it_is_put_right(
    cluster: Cluster, field: str
) -> None:
    """No move can end it; the leader goes on, and does not read its whole queue for its sake."""
    (spoilt,) = cluster.submit(slots={"cpu": "300m"})
    before = cluster.store.client.hget(cluster.store.keys.session(spoilt), field)
    spoil(cluster, spoilt, field, "ba:na:na")
    leader = cluster.leader()
    cluster.agent().start()
    (well,) = cluster.submit()
    cluster.reach(well, S.SUCCEEDED)

    assert f"session {spoilt} has a spoilt record ({field})" in named_by_doctor(cluster)
    assert [spoilt, well] == [d.id for d in cluster.store.sessions.many([spoilt, well])]
    assert leader.health()["leads"]

    spoil(cluster, spoilt, field, str(before))

    cluster.reach(spoilt, S.SUCCEEDED)


def test_an_index_that_names_a_session_without_a_record_harms_nobody(cluster: Cluster) -> None:
    (gone,) = cluster.submit()
    cluster.store.client.delete(cluster.store.keys.session(gone))
    cluster.leader()
    cluster.agent().start()
    (well,) = cluster.submit()

    cluster.reach(well, S.SUCCEEDED)


@pytest.mark.parametrize("field", PLACED)
def test_a_spoilt_running_session_ends_and_so_do_the_others(cluster: Cluster, field: str) -> None:
    """The next leader reads it as best it can: what it runs is looked after to its end."""
    first = cluster.leader()
    agent = cluster.agent()
    spoilt, well = cluster.submit(2)
    agent.up(taken := agent.taken(2))
    for session in (spoilt, well):
        cluster.reach(session, S.RUNNING)
    first.stop()
    spoil(cluster, spoilt, field, PLACED[field])
    told = named_by_doctor(cluster)
    cluster.leader("r2")

    agent.end(taken)

    cluster.reach(well, S.SUCCEEDED)
    cluster.reach(spoilt, S.SUCCEEDED)
    if field != "held":  # Lua's own; what it named is found by the recount of scopes
        assert f"session {spoilt} has a spoilt record ({field})" in told
    (later,) = cluster.submit()
    agent.up(taken := agent.taken())
    agent.end(taken)
    cluster.reach(later, S.SUCCEEDED)


@pytest.mark.parametrize("field", ["state", "group", "kernel:0:agent"])
def test_what_a_running_session_that_stands_nowhere_runs_is_stopped(
    cluster: Cluster, field: str
) -> None:
    """Nobody could say any more what becomes of it; another one on the same agent goes on."""
    first = cluster.leader()
    agent = cluster.agent()
    spoilt, well = cluster.submit(2)
    agent.up(taken := agent.taken(2))
    for session in (spoilt, well):
        cluster.reach(session, S.RUNNING)
    first.stop()
    if field == "kernel:0:agent":
        cluster.store.client.hdel(cluster.store.keys.session(spoilt), field)
    else:
        spoil(cluster, spoilt, field, "ba:na:na")
    second = cluster.leader("r2", not_ready_after="300ms")

    def told_to_stop() -> bool:
        return any(order.startswith(spoilt) for order in agent.beat().stops)

    wait_until(told_to_stop, saying="its kernel is stopped")

    agent.end([order for order in taken if order.session == well])
    cluster.reach(well, S.SUCCEEDED)
    assert second.health()["leads"]
    assert f"session {spoilt} has a spoilt record ({field})" in named_by_doctor(cluster)


def test_a_spoilt_timer_does_not_keep_a_leader_busy(cluster: Cluster) -> None:
    """Due for ever, it would be looked at without a pause."""
    cluster.configure(pending_timeout_ms=200)
    (nowhere, unmet) = cluster.submit(2)
    (parent,) = cluster.submit(slots={"cpu": "300m"})
    (child,) = cluster.submit(depends_on=[parent])
    spoil(cluster, nowhere, "state", "banana")
    spoil(cluster, child, "unmet", "x")
    timers = cluster.store.keys.timers(GROUP)
    cluster.leader()

    wait_until(lambda: not cluster.store.client.zcard(timers), saying="no timer is due")

    assert [S.CANCELLED] * 2 == [cluster.get(each).state for each in (child, unmet)]


def test_a_spoilt_child_does_not_keep_its_siblings_from_being_told_and_is_healed(
    cluster: Cluster,
) -> None:
    cluster.leader()
    agent = cluster.agent()
    (parent,) = cluster.submit()
    children = cluster.submit(3, depends_on=[parent])
    spoil(cluster, children[1], "unmet", "x")
    agent.start()

    for child in (children[0], children[2]):
        cluster.reach(child, S.SUCCEEDED)
    # Its own count is made anew by the sweep.
    cluster.reach(children[1], S.SUCCEEDED, within=30)
