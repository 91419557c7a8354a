"""Connections are cut, and what was said is said twice or its answer lost: it counts once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from scheduler import Client, SessionSpec, SessionState
from scheduler.domain.errors import StoreUnavailable
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.acceptance.proxy import Proxy
from tests.acceptance.test_deaths import succeeded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

Make = Callable[..., Bench]
MakeProxy = Callable[[str], Proxy]
CUT_S = 3.0


def url_of(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


def test_connections_cut_for_three_seconds_lose_and_rescue_nothing(
    make_bench: Make, proxy_to: MakeProxy
) -> None:
    """X8: an agent's, the leader's and the app's, each alone and then all at once, within the lease."""
    bench = make_bench(replicas=0, agents=0, LEASE="15s")
    proxies = {name: proxy_to(bench.cluster.redis.url) for name in ("leader", "a1", "a2", "app")}
    behind = {"SCHEDULER_REDIS_URL": url_of(proxies["leader"])}
    bench.cluster.start("r1", ["replica", "run", "--name", "r1"], behind)
    for agent in ("a1", "a2"):
        bench.start_agent_behind(proxies[agent].port, agent)
    bench.cluster.wait_for_leader()
    bench.cluster.wait_for_agents("a1", "a2")
    app = Client(url_of(proxies["app"]))
    bench.enqueue_many([bench.spec("work", 4 * CUT_S + 1, slots={"cpu": "250m"}) for _ in range(4)])
    bench.wait_for_starts()
    for cut in (["a1"], ["leader"], ["app"], [*proxies]):
        for name in cut:
            proxies[name].cut()
        asked = [bench.spec("work", 0.05, slots={"cpu": "250m"}) for _ in range(20)]
        submitting = threading.Thread(target=submit, args=(bench, app, asked))
        submitting.start()
        # Not a wait for something to happen: the time that nothing passes is what is tested.
        threading.Event().wait(CUT_S)
        for name in cut:
            proxies[name].mend()
        submitting.join(30)
    bench.wait_for_all(within=60)
    app.close()

    assert 84 == len({session.id for session in bench.sessions}) == succeeded(bench)
    assert [] == bench.events("agent.lost", "agents.storm")
    assert {0} == {session.data.rescues for session in bench.sessions}
    bench.check()


def submit(bench: Bench, app: Client, asked: list[SessionSpec]) -> None:
    bench.sessions += app.enqueue_many(asked)


def test_a_submit_whose_answer_is_lost_is_written_once(
    make_bench: Make, proxy_to: MakeProxy
) -> None:
    """K20: the line is cut when Redis has the request and the app has no answer."""
    bench = make_bench(replicas=1, agents=1)
    proxy = proxy_to(bench.cluster.redis.url)
    app = Client(url_of(proxy))
    submit(bench, app, [bench.spec("work")])

    proxy.lose_answers_to(b"EVALSHA", times=1)
    submit(bench, app, [bench.spec("work") for _ in range(10)])

    proxy.lose_answers_to(b"EVALSHA", times=100)
    keyed = [bench.spec("work", idempotency_key=f"key-{number}") for number in range(10)]
    with pytest.raises(StoreUnavailable, match="does not answer"):
        app.enqueue_many(keyed)
    proxy.lose_answers_to(b"", times=0)
    submit(bench, app, keyed)
    bench.wait_for_all(within=90)
    app.close()

    counts = bench.client.store.sessions.counts("default")
    assert {SessionState.SUCCEEDED: 21} == {s: count for s, count in counts.items() if count}
    bench.check()


def test_reports_delivered_twice_count_once(make_bench: Make) -> None:
    """X1: every entry of the reports stream is there again, at once, late, and after a change of leader."""
    bench = make_bench(replicas=2, agents=1)
    store, go = bench.client.store, bench.cluster.folder / "go"
    reports = store.keys.reports("default")
    # The leader trims by whole nodes of the stream: in one that is never full every report stays.
    for limit in ("stream-node-max-bytes", "stream-node-max-entries"):
        store.client.config_set(limit, 0)
    running = bench.enqueue("wait_for", str(go))
    said: list[str] = []

    def again() -> None:
        """Say everything that was ever reported once more, in the same order."""
        entries: Any = store.client.xrange(reports)
        said.extend(fields["body"] for _, fields in entries)
        for _, fields in entries:
            store.client.xadd(reports, fields)

    def read() -> bool:
        newest: Any = store.client.xrevrange(reports, count=1)
        return bool(store.client.hget(store.keys.leadership("default"), "cursor") == newest[0][0])

    wait_until(lambda: running.state is SessionState.RUNNING, within=90, saying="it never ran")
    again()
    ended = bench.enqueue_many([bench.spec("work", slots={"cpu": "500m"}) for _ in range(20)])
    for session in ended:
        session.get(timeout=20)
    again()
    bench.cluster.kill(bench.cluster.wait_for_leader())
    bench.cluster.wait_for_leader(within=90)
    again()
    wait_until(read, within=90, saying="the doubled reports were never read")
    go.touch()
    running.get(timeout=20)
    again()
    wait_until(read, within=90, saying="the doubled reports were never read")

    # Claimed, up and ended of 21 sessions, and who the agent is.
    entries = [json.loads(body) for body in set(said)]
    assert 3 * 21 + 1 == sum(len(entry.get("reports", [entry])) for entry in entries)
    assert 21 == succeeded(bench)
    bench.check()


@pytest.mark.parametrize("words", [b"LPOP", b"$7\r\nEVALSHA\r\n"], ids=["pop", "claim"])
def test_an_order_whose_answer_is_lost_is_not_waited_for(
    make_bench: Make, proxy_to: MakeProxy, words: bytes
) -> None:
    """K15: the line is cut when Redis has taken the ids off the queue, or the orders, and nobody has them.

    The leader would withdraw the orders after a claim timeout, which is set to longer than the test may take.
    """
    bench = make_bench(replicas=1, agents=0, LEASE="15s")
    bench.client.store.groups.configure("default", {"claim_timeout_ms": 600_000})
    proxy = proxy_to(bench.cluster.redis.url)
    bench.start_agent_behind(proxy.port, "a1")
    bench.cluster.wait_for_agents("a1")
    bench.enqueue("work").get(timeout=20)
    since = bench.now_ms()

    proxy.lose_answers_to(words, times=3)
    bench.enqueue_many([bench.spec("work", slots={"cpu": "250m"}) for _ in range(30)])
    bench.wait_for_all(within=90)

    assert 31 == succeeded(bench)
    assert proxy.losses_left < 3
    assert [] == bench.events("agent.lost", "agents.storm", since=since)
    if words == b"LPOP":
        assert {1} == {session.data.attempt for session in bench.sessions}
    bench.check()
