"""Plugins that cannot be used where a replica runs: at its start, in a live leader, and in the next one."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.states import SessionState
from scheduler.leader.state import LeaderState, load
from scheduler.operations.checks import Check, Level
from scheduler.operations.doctor import check_plugins, examine
from scheduler.protocol.report import EndReason
from scheduler.store.audit import AuditRepository
from tests.integration.leader.world import GROUP, SECRET, Cluster, wait_until
from tests.integration.plugins.conftest import Install

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
Put = Callable[[str], None]
LED = "leader of default"
WRONG = """
import threading

from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.plugins.hooks import AbstractHook, HookResult
from scheduler.cycle.sequencers.fifo import FifoScheduler


class Endless(AbstractHook):
    name = "endless"
    budget_ms = 3_600_000

    def check(self, context):
        return HookResult.passed()


class Odd(FifoScheduler):
    name = "odd"

    def pick_session(self):
        raise ZeroDivisionError("no one")


go_on = threading.Event()


class Hangs(ConcentratedAgentSelector):
    name = "hangs"

    def assign_agent_for_kernel(self, view, need):
        go_on.wait(60)
        return super().assign_agent_for_kernel(view, need)


class Raises(ConcentratedAgentSelector):
    name = "raises"

    def assign_agent_for_kernel(self, view, need):
        raise RuntimeError("kaputt")


class Unranked(FifoScheduler):
    name = "unranked"

    def rank(self, candidate):
        raise ZeroDivisionError("no rank")
"""


@pytest.fixture
def put(install: Install, tmp_path: Path) -> Put:
    """Install a distribution with these entry points."""

    def put(points: str) -> None:
        project, module = tmp_path / "pyproject.toml", tmp_path / "wrong.py"
        project.write_text(
            f'[project]\nname = "wrong"\nversion = "1.0"\n[project.entry-points]\n{points}\n'
        )
        module.write_text(WRONG)
        install(project, [module])

    return put


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (
            '"scheduler.validators" = {gone = "wrong.gone:Gone"}',
            "plugin 'gone' (wrong.gone:Gone) cannot be imported: ModuleNotFoundError: ",
        ),
        ('"scheduler.hooks" = {gone = "wrong:Gone"}', "cannot be imported: AttributeError: "),
        (
            '"scheduler.cluster_modes" = {gone = "wrong:Gone"}',
            "plugin 'gone' (wrong:Gone) cannot be",
        ),
        (
            '"scheduler.hooks" = {endless = "wrong:Endless"}',
            "budget_ms of hook 'endless' must be 1 to 1000, got 3600000",
        ),
    ],
)
def test_a_replica_does_not_start_beside_a_plugin_it_cannot_use(
    cluster: Cluster, put: Put, points: str, says: str
) -> None:
    """K19: named, with its error; nothing is written."""
    put(points)
    keys = sorted(cluster.store.client.scan_iter(f"{cluster.namespace}:*"))

    with pytest.raises(InvalidSetting) as refusal:
        cluster.replica(groups=["another"])

    assert says in str(refusal.value)
    assert keys == sorted(cluster.store.client.scan_iter(f"{cluster.namespace}:*"))


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ('"scheduler.schedulers" = {gone = "wrong:Gone"}', "plugin 'gone' (wrong:Gone) cannot be"),
        (
            '"scheduler.seed_selectors" = {gone = "wrong.gone:Gone"}',
            "plugin 'gone' (wrong.gone:Gone) cannot be imported: ModuleNotFoundError: ",
        ),
        ('"scheduler.schedulers" = {lifo = "wrong:Odd"}', "two plugins are called 'lifo': "),
    ],
)
def test_a_replica_runs_beside_one_that_no_group_names_and_tells_of_it(
    cluster: Cluster, put: Put, points: str, says: str
) -> None:
    """A package that was installed halfway takes no site down; the log and the doctor name it."""
    put(points)

    with capture_logs() as said:
        cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit()
    agent.end(agent.taken())
    cluster.reach(session, S.SUCCEEDED)

    (told,) = [line["says"] for line in said if line["event"] == "plugin.unusable"]
    assert says in told
    check = check_plugins()
    assert (Level.WARNING, told) == (check.level, check.says)


def test_the_program_says_it_in_one_sentence(cluster: Cluster, put: Put, tmp_path: Path) -> None:
    put('"scheduler.validators" = {gone = "wrong.gone:Gone"}')
    path = os.pathsep.join(filter(None, (str(tmp_path / "site"), os.environ.get("PYTHONPATH"))))
    where = {"SCHEDULER_REDIS_URL": cluster.url, "SCHEDULER_NAMESPACE": cluster.namespace}

    done = subprocess.run(
        [sys.executable, "-m", "scheduler.cli", "replica", "run"],
        env={**os.environ, **where, "SCHEDULER_SECRET": SECRET, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert "plugin 'gone' (wrong.gone:Gone) cannot be imported: ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scheduler": "gone"}, "plugin 'gone' (wrong:Gone) cannot be imported: AttributeError"),
        ({"agent_selector": "astrology"}, "There is no agent selector named 'astrology'"),
        ({"scheduler_opts": {"speed": 9}}, "fifo has no option 'speed'"),
        ({"agent_selector_opts": {"slot_priority": 7}}, "option 'slot_priority' of concentrated"),
    ],
)
def test_a_live_leader_keeps_the_options_before(
    cluster: Cluster, put: Put, options: dict[str, object], says: str
) -> None:
    def told() -> list[str]:
        return [line["says"] for line in said if line["event"] == "group.unusable"]

    with capture_logs() as said:
        cluster.leader()
        put('"scheduler.schedulers" = {gone = "wrong:Gone"}')
        agent = cluster.agent()
        cluster.configure(**options)
        wait_until(told, saying="it is told")
        (session,) = cluster.submit()
        agent.end(agent.taken())
        cluster.reach(session, S.SUCCEEDED)

    (says_it,) = told()
    assert says in says_it


def test_the_next_leader_places_nothing_and_looks_after_what_runs(cluster: Cluster) -> None:
    """What was placed before ends; who waits is told; the first options that can be used go on."""
    first, agent = cluster.leader(), cluster.agent()
    (running,) = cluster.submit()
    taken = agent.taken()
    agent.up(taken)
    cluster.reach(running, S.RUNNING)
    cluster.configure(scheduler="astrology")
    (waits,) = cluster.submit()
    agent.end(agent.taken())
    cluster.reach(waits, S.SUCCEEDED)
    first.stop()

    cluster.leader("r2")
    (late,) = cluster.submit()
    agent.end(taken, exit_code=1, reason=EndReason.EXITED)

    cluster.reach(running, S.FAILED)
    told = wait_until(
        lambda: cluster.app.session(late).explain().refusals, saying="the reason is told"
    )
    assert (S.READY, "scheduler") == (cluster.get(late).state, told[0].by)
    assert told[0].reason.startswith("There is no scheduler named 'astrology'; installed are: ")

    cluster.configure(scheduler="fifo")
    agent.end(agent.taken())
    cluster.reach(late, S.SUCCEEDED)


@pytest.mark.parametrize(
    ("scheduler", "says"),
    [
        ("odd", "scheduler 'odd' is broken: ZeroDivisionError: no one"),
        (
            "unranked",
            "scheduler 'unranked' is broken: it cannot rank sessions: ZeroDivisionError: no rank",
        ),
    ],
)
def test_a_scheduler_that_raises_stops_placing_and_nothing_else(
    cluster: Cluster, put: Put, scheduler: str, says: str
) -> None:
    """K19: in the same term, and what runs goes on to its end."""
    put('"scheduler.schedulers" = {odd = "wrong:Odd", unranked = "wrong:Unranked"}')
    with capture_logs() as said:
        cluster.leader()
        agent = cluster.agent()
        cluster.submit()
        taken = agent.taken()
        cluster.configure(scheduler=scheduler)
        (late,) = cluster.submit()
        told = wait_until(
            lambda: cluster.app.session(late).explain().refusals, saying="the reason is told"
        )
        agent.end(taken)
        cluster.done(1)

    assert says == told[0].reason
    assert 1 == len([line for line in said if line["event"] == "leader.elected"])
    broken = [line for line in said if line["event"] == "policy.broken"]
    assert 1 == len(broken)
    assert 1 == cluster.store.sessions.counts(GROUP)[S.READY]


def test_a_selector_that_raises_is_told_in_log_doctor_and_explain(
    cluster: Cluster, put: Put
) -> None:
    put('"scheduler.selectors" = {raises = "wrong:Raises"}')
    audit = AuditRepository(cluster.store.client, cluster.store.keys)
    with capture_logs() as said:
        cluster.configure(agent_selector="raises")
        cluster.leader()
        cluster.agent().start()
        (session,) = cluster.submit()
        (told,) = wait_until(
            lambda: cluster.app.session(session).explain().refusals, saying="the reason is told"
        )
        tries = cluster.app.session(session).explain().tries
        wait_until(
            lambda: cluster.app.session(session).explain().tries > tries, saying="it is tried again"
        )
        checks = {c.name: c for c in examine(cluster.store, audit, silent_after_ms=60_000)}
        cluster.configure(agent_selector="concentrated")
        cluster.reach(session, S.SUCCEEDED)

    assert "agent selector 'raises' is broken: RuntimeError: kaputt" == told.reason
    assert (
        f"`scheduler group set {GROUP} --selector NAME`, or `scheduler group rollback"
        in told.cures[0]
    )
    assert not checks["plugins of default"].ok
    assert checks["plugins of default"].says.startswith(told.reason)
    (line,) = (line for line in said if line["event"] == "policy.broken")
    assert (told.reason, "kaputt") == (line["says"], str(line["exc_info"]))


def test_a_plugin_that_hangs_is_told_by_doctor_health_and_explain(
    cluster: Cluster, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is renewed by another thread: nothing but its turn tells that a leader decides nothing."""
    monkeypatch.setattr("scheduler.leader.replica._SLOW_TURN_S", 1.5)
    put('"scheduler.selectors" = {hangs = "wrong:Hangs"}')
    audit = AuditRepository(cluster.store.client, cluster.store.keys)

    def leader() -> Check:
        (check,) = (
            c for c in examine(cluster.store, audit, silent_after_ms=60_000) if c.name == LED
        )
        return check

    with capture_logs() as said:
        cluster.configure(agent_selector="hangs")
        leads = cluster.leader(leader_ttl="30s")
        cluster.agent().start()
        (session,) = cluster.submit()
        wait_until(lambda: not leads.health()["ready"], saying=f"r1 is not ready: {said}")
        wait_until(lambda: not leader().ok, saying="the doctor finds it")
        found, told = leader(), cluster.app.session(session).explain()
        importlib.import_module("wrong").go_on.set()
        cluster.reach(session, S.SUCCEEDED)

    assert "s, while 1 READY sessions wait; a plugin of the group may hang" in found.says
    assert "the leader of group default, r1, has not decided for" in told.says
    (line,) = (line for line in said if line["event"] == "leader.hangs")
    assert "threading.py" in line["at"]
    wait_until(lambda: leader().ok, saying="its turn is over, and told to be")
    assert (True, "") == (leads.health()["ready"], leads.health()["why"])


def test_options_that_change_while_a_term_loads_are_not_missed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading them and listening to the inbox nobody would tell."""
    changes: Iterator[dict[str, Any]] = iter([{"scheduler": "fifo"}, {"max_rescues": 7}])

    def load_late(*given: Any) -> LeaderState:
        if change := next(changes, None):
            cluster.configure(**change)
        return load(*given)

    cluster.configure(scheduler="astrology")
    monkeypatch.setattr("scheduler.leader.reign.load", load_late)
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit()
    agent.end(agent.taken())

    cluster.reach(session, S.SUCCEEDED)
    assert None is next(changes, None)
