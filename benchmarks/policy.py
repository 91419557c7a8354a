"""A whole policy under load: every validator, shares by user, labels; refused sessions; answers to why."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final

from benchmarks import placing
from benchmarks.ceiling import nearby
from benchmarks.scale import Scale, percentile
from benchmarks.server import own_redis
from scheduler.bootstrap import open_store
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.spec import SessionSpec
from scheduler.leader.stage import Stage, StagedAgent, StagedReign
from scheduler.operations.explaining import explain_session
from scheduler.settings import load
from scheduler.store.scopes import ScopeRepository

USERS: Final = 200
PROJECTS: Final = 20
_AGENTS: Final = 5_000
_LABELLED_EVERY: Final = 10
_ZONES: Final = ("a", "b", "c")
_POLICY: Final = {"scheduler": "drf", "agent_selector": "dispersed"}
_WARM_UP: Final = 200
_PAGE: Final = 2_000
_CLOSED: Final = "closed"
_IDLE_CYCLES: Final = 200
_SEED: Final = 7


def measure(scale: Scale) -> dict[str, float]:
    """Placements per second under the whole policy; then what refused sessions cost, and answers."""
    found = nearby("policy", scale, partial(_placing, scale))
    return found | _refused(scale)


def spec(number: int) -> SessionSpec:
    """A session of one of the users, each tenth with a label."""
    user = number % USERS
    labelled = {"zone": random.Random(number).choice(_ZONES)}  # noqa: S311 - the same each run
    return replace(
        placing.spec(number, keypair=f"key-{user}"),
        scopes={"user": f"user-{user}", "group": f"project-{user % PROJECTS}", "domain": "d"},
        labels=labelled if number % _LABELLED_EVERY == 0 else {},
    )


def agents(count: int) -> list[StagedAgent]:
    """The agents of the other measurements, in three zones."""
    return [
        replace(agent, labels={"zone": _ZONES[number % len(_ZONES)]})
        for number, agent in enumerate(placing.agents(count))
    ]


def _placing(scale: Scale) -> dict[str, float]:
    count = min(scale.placements, scale.waiting // 2)
    return {"place_per_s_policy": rate(_AGENTS, scale.waiting, count, scale.placing_s)}


def rate(count: int, waiting: int, placements: int, within: float) -> float:
    """Placements per second: all validators have a limit to look at, and nobody reaches it."""
    with own_redis() as server, Stage(server.url, "bench", _POLICY) as stage:
        _limit(stage)
        stage.admit(agents(count))
        _submit(stage, range(waiting))
        reign = _loaded(stage)
        placing.place(reign, _WARM_UP, within)
        return placing.place(reign, placements, within)


def _limit(stage: Stage) -> None:
    roomy = {"cpu": 10**9, "mem": 10**9, "cuda": 10**9}
    most = ScopeLimits(max_sessions=10**6, max_slots=roomy, max_pending_sessions=10**6)
    scopes = ScopeRepository(stage.client, stage.keys)
    for user in range(USERS):
        for kind, name in (("keypair", f"key-{user}"), ("user", f"user-{user}")):
            scopes.limit(Scope(kind, name), most)
    for project in range(PROJECTS):
        scopes.limit(Scope("group", f"project-{project}"), most)
    scopes.limit(Scope("domain", "d"), most)


def _submit(stage: Stage, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, _PAGE):
        stage.sessions.submit([spec(n) for n in range(start, min(start + _PAGE, numbers.stop))])


def _loaded(stage: Stage) -> StagedReign:
    """A term that has read the whole queue, and placed what it did on the way."""
    reign = stage.lead()
    while not reign.state.all_loaded:
        reign.run_once()
    return reign


@contextmanager
def _asleep(scale: Scale) -> Iterator[tuple[Stage, StagedReign, list[str]]]:
    """Sessions that a scope refuses, of as many users."""
    with own_redis() as server, Stage(server.url, "bench", _POLICY) as stage:
        closed = Scope("domain", _CLOSED)
        ScopeRepository(stage.client, stage.keys).limit(closed, ScopeLimits(max_sessions=0))
        stage.admit(agents(_AGENTS))
        ids: list[str] = []
        for start in range(0, scale.waiting, _PAGE):
            page = range(start, min(start + _PAGE, scale.waiting))
            ids += stage.sessions.submit(
                [
                    replace(spec(n), scopes={"user": f"user-{n % USERS}", "domain": _CLOSED})
                    for n in page
                ]
            )
        reign = _loaded(stage)
        while not reign.settled:
            reign.run_once()
        yield stage, reign, ids


def _refused(scale: Scale) -> dict[str, float]:
    with _asleep(scale) as (stage, reign, ids):
        cycles = [_milliseconds(reign.dispatcher.run_once) for _ in range(_IDLE_CYCLES)]
        store = open_store(load(namespace=stage.keys.root), stage.client)
        asked = random.Random(_SEED).sample(ids, min(len(ids), scale.latencies * 2))  # noqa: S311
        answers = [_milliseconds(partial(explain_session, store, session)) for session in asked]
    return {
        "cycle_idle_ms": percentile(cycles, 50),
        "explain_p50_ms": percentile(answers, 50),
        "explain_p99_ms": percentile(answers, 99),
    }


def _milliseconds(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return 1000 * (perf_counter() - started)
