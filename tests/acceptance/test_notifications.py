"""Receivers that are dead or hang, seen from a whole cluster: nothing waits for them, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from scheduler import SessionState
from scheduler.operations.subscribing import add_subscriber
from scheduler.store.subscribers import Wanted
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.integration.notifications.receiver import Receiver

pytestmark = pytest.mark.acceptance
SECRETS = ("t0kenpath", "querys3cret", "passw0rd")
MANY = 100


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver]]:
    """One that hangs, one that is well."""
    hanging, well = Receiver(), Receiver("HTTP/1.1")
    hanging.free.clear()
    yield hanging, well
    hanging.close()
    well.close()


def test_scheduling_never_waits_for_receivers_and_they_get_all_in_the_end(
    bench: Bench, receivers: tuple[Receiver, Receiver]
) -> None:
    """A3, N2, J13."""
    hanging, well = receivers
    store = bench.client.store
    where = f"127.0.0.1:{hanging.port}/t0kenpath"
    for name, kind, url in (
        ("people", "apprise", f"json://me:passw0rd@{where}"),
        ("hook", "webhook", f"http://{where}?x=querys3cret"),
    ):
        failures = Wanted(["job_failed", "job_completed"])
        add_subscriber(store, name, (kind, {"url": url}), failures, from_oldest=False)
    stuck = f"{hanging.url}/t0kenpath?x=querys3cret"
    dead = "http://127.0.0.1:9/t0kenpath"
    urls = [stuck, dead, well.url]
    sessions = bench.enqueue_many(
        [bench.spec("work", callback=urls[n % 3], name=f"n{n}") for n in range(MANY)]
    )

    bench.wait_for_all(within=90)
    told = [s for n, s in enumerate(sessions) if n % 3 == 2]
    wait_until(lambda: len(well.got) == len(told), within=90, saying="outcomes were held up")

    # All of it while nothing was said by the one that hangs.
    assert [] == hanging.got
    assert hanging.asked
    assert {(s.id, "SUCCEEDED", s.id) for s in told} == {
        (got["data"]["id"], got["data"]["state"], got["data"]["result"]) for got in well.got
    }
    assert {SessionState.SUCCEEDED} == {session.state for session in sessions}
    hanging.free.set()
    wait_until(
        lambda: {"job_completed"} <= set(filter(None, (m.get("type") for m in hanging.got))),
        within=60,
        saying="it did not come back",
    )

    shown = bench.cluster.log("r1") + json.dumps(
        [event.as_dict() for event in bench.cluster.evidence(bench.witness).events]
    )
    assert "callback.failed" in shown
    assert [] == [secret for secret in SECRETS if secret in shown]
    bench.check()
