"""What a long queue costs: bytes per waiting session, and how long one script holds Redis up."""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter
from typing import Any, cast

from benchmarks import placing
from benchmarks.scale import Scale, percentile
from benchmarks.server import own_redis
from scheduler.leader.stage import Stage, StagedReign
from scheduler.protocol import report as wire
from scheduler.protocol.names import parse_order_id
from scheduler.protocol.order import StartOrder, decode
from scheduler.protocol.report import KernelReport, ReportKind
from scheduler.protocol.signing import agent_key
from scheduler.store.mailbox import AgentMailbox

_AGENTS = 200
_BATCH = 200
#: Redis keeps so many of its slowest commands for us: with a threshold of zero, all.
_SLOWLOG = 1_000_000


def measure(scale: Scale) -> dict[str, float]:
    """Submit the queue; then place from it and work it off, while Redis times its scripts."""
    with own_redis() as server, Stage(server.url, "bench", {}) as stage:
        stage.sessions.submit([placing.spec(n) for n in range(_BATCH)])
        before = _used_memory(stage)
        for start in range(0, scale.waiting, _BATCH):
            stage.sessions.submit([placing.spec(n) for n in range(start, start + _BATCH)])
        used = _used_memory(stage) - before
        events = cast("int", stage.client.memory_usage(stage.keys.events(), samples=0))
        times = script_times(stage, scale.scripts_s)
    return {
        "bytes_per_waiting_session": used / scale.waiting,
        "bytes_of_that_in_events": events / scale.waiting,
        "script_p99_ms": percentile(times, 99),
        "script_max_ms": max(times),
    }


def _used_memory(stage: Stage) -> int:
    return int(stage.client.info("memory")["used_memory"])


def script_times(stage: Stage, within: float) -> list[float]:
    """Milliseconds of every script, while sessions are submitted, placed, claimed and ended."""
    stage.admit(placing.agents(_AGENTS))
    reign, puppet, number = stage.lead(), _Puppet(stage), 0
    stage.client.config_set("slowlog-max-len", _SLOWLOG)
    stage.client.config_set("slowlog-log-slower-than", 0)
    started = perf_counter()
    while perf_counter() - started < within:
        reign.run_once()
        puppet.work(reign)
        stage.sessions.submit([placing.spec(n) for n in range(number, number + _BATCH // 4)])
        number += _BATCH // 4
    stage.client.config_set("slowlog-log-slower-than", -1)
    found = stage.client.slowlog_get(_SLOWLOG)
    # redis-py gives the command as bytes, whatever the connection decodes.
    return [e["duration"] / 1000 for e in found if bytes(e["command"]).startswith(b"EVALSHA")]


class _Puppet:
    """Speaks for all agents: takes what lies in their queues, and says at once that it ended."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def work(self, reign: StagedReign) -> None:
        """Claim every order that is there, then report it up and ended."""
        orders = defaultdict(list)
        for row in reign.state.agents.rows:
            if row.kernels:
                orders[row.data.id] = cast(
                    "list[str]",
                    self._stage.client.lpop(self._stage.keys.rq_queue(row.data.id), _BATCH) or [],
                )
        boots = {row.data.id: row.data.boot for row in reign.state.agents.rows}
        for agent, taken in orders.items():
            self._run(agent, boots[agent], taken)

    def _run(self, agent: str, boot: str, taken: list[str]) -> None:
        key = agent_key(self._stage.secret, self._stage.keys.root, agent)
        mailbox = AgentMailbox(self._stage.client, self._stage.keys.root, agent, "default")
        parts = [(text, found) for text in taken if (found := parse_order_id(text))]

        def said(kind: ReportKind, session: str, placement: str) -> KernelReport:
            over: dict[str, Any] = (
                {"exit_code": 0, "reason": "exited"} if kind is ReportKind.ENDED else {}
            )
            return KernelReport(
                kind=kind,
                agent=agent,
                boot=boot,
                session=session,
                kernel=0,
                placement=placement,
                **over,
            )

        if not parts:
            return
        claims = [said(ReportKind.CLAIMED, o.session, o.placement) for _, o in parts]
        reports: list[KernelReport] = []
        wanted = [text for text, _ in parts]
        for claimed in mailbox.claim(boot, wanted, wire.encode_many(claims, key)):
            order, _ = decode(claimed.text, key, agent=agent, boot=boot)
            if isinstance(order, StartOrder):
                kinds = (ReportKind.UP, ReportKind.ENDED)
                reports += [said(kind, order.session, order.placement) for kind in kinds]
        if reports:
            mailbox.report([wire.encode_many(reports, key)])
