"""What the beats of a large cluster cost Redis, and how long the leader looks at them."""

from __future__ import annotations

import json
from threading import Event
from time import perf_counter
from typing import Final

from benchmarks import placing
from benchmarks.scale import Scale, percentile
from benchmarks.server import own_redis
from scheduler.domain.agent import AgentData
from scheduler.leader.stage import Stage
from scheduler.store.script import Script

#: Each agent beats every two seconds.
_PERIOD_S: Final = 2.0
_STEP_S: Final = 0.1
_TTL_MS: Final = 120_000
_BEAT: Final = Script.load("agent/beat")


def measure(scale: Scale) -> dict[str, float]:
    """The share of a core that Redis spends on beats and on the leader's reading of them."""
    with own_redis() as server, Stage(server.url, "bench", {}) as stage:
        stage.admit(placing.agents(scale.beating_agents))
        reign = stage.lead()
        known = stage.agents.many([row.data.id for row in reign.state.agents.rows])
        driver = _Driver(stage, known)
        looks: list[float] = []
        stage.client.script_load(_BEAT.source)
        driver.beat(len(known))
        stage.client.config_resetstat()
        driver.sent, started = 0, perf_counter()
        while (elapsed := perf_counter() - started) < scale.beating_s:
            driver.beat(int(elapsed * len(known) / _PERIOD_S) - driver.sent)
            if len(looks) <= elapsed:
                reign.chores.timers(caught_up=True)
                began = perf_counter()
                reign.chores.beats(caught_up=True)
                looks.append((perf_counter() - began) * 1000)
            Event().wait(_STEP_S)
        stats = stage.client.info("commandstats")
    # So many beats belong to so many seconds, however long this machine took to send them.
    due_s = driver.sent * _PERIOD_S / len(known)
    spent = stats["cmdstat_evalsha"]["usec"] / due_s + stats["cmdstat_mget"]["usec"] / len(looks)
    return {"beats_share_10000": spent / 1e6, "beats_look_p99_ms_10000": percentile(looks, 99)}


class _Driver:
    """Sends the beats of all agents in turn, pipelined, as ten thousand machines would."""

    def __init__(self, stage: Stage, agents: list[AgentData]) -> None:
        self._client = stage.client
        self._root = stage.keys.root
        self._beats = [
            (
                a.id,
                a.boot,
                json.dumps({"boot": a.boot, "claims": 0, "running": []}, separators=(",", ":")),
            )
            for a in agents
        ]
        self._next = 0
        self.sent = 0

    def beat(self, count: int) -> None:
        """The next so many agents beat."""
        with self._client.pipeline(transaction=False) as pipe:
            for _ in range(count):
                agent, boot, text = self._beats[self._next % len(self._beats)]
                self._next += 1
                packed = _BEAT.pack(
                    self._root, agent=agent, boot=boot, ttl_ms=_TTL_MS, beat=text, over=""
                )
                pipe.evalsha(_BEAT.sha, 0, *packed)
            pipe.execute()
        self.sent += count
