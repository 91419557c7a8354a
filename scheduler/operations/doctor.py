"""Looks at everything that can be wrong with a cluster, one line per check."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

import redis

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.domain.errors import InvalidSetting, NotFound, ScriptError
from scheduler.domain.states import SessionState
from scheduler.domain.verdict import MODE, SCHEDULER, SELECTOR
from scheduler.operations import recount
from scheduler.operations.checks import Check, Level, found, named
from scheduler.operations.recount import KEPT, Recount
from scheduler.operations.standstill import HANGS, check_placing, pool_of, standing_still_ms
from scheduler.plugins.loading import check_installed
from scheduler.store.audit import AuditRepository, pages
from scheduler.store.connection import CLUSTER, REPLICA
from scheduler.store.job_index import JobIndex
from scheduler.store.key_types import KeyTypes
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.miscounts import ScopeCounts
from scheduler.store.offices import OfficeRepository
from scheduler.store.schema import OLDEST_REDIS, VERSION, ServerFacts, server_facts
from scheduler.store.scopes import ScopeRepository

#: Submits are refused from here on.
MEMORY_LIMIT = 0.8
#: An agent has three connections at most; replicas, apps and operators need some, too.
CONNECTIONS_PER_AGENT = 3
OTHER_CONNECTIONS = 64
#: How often, and for how many seconds, an election is given time to come to its end.
LOOKS = 5
ELECTION_S = 1.0
#: What a read raises where what Redis holds makes no sense.
UNREADABLE = (ScriptError, InvalidSetting, NotFound, ValueError, TypeError, LookupError)


class Store(recount.Store, Protocol):
    """What the doctor looks at."""

    @property
    def client(self) -> redis.Redis: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def leadership(self) -> LeadershipRepository: ...


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def examine(
    store: Store,
    audit: AuditRepository,
    *,
    silent_after_ms: int,
    repair: bool = False,
    pause: Callable[[float], object] = _pause,
) -> Iterator[Check]:
    """Every check, one after the other; the recounts at the end take their time.

    Reads in pages of some hundred sessions, and writes only with ``repair``: what scopes count, where it
    is wrong. Raises StoreUnavailable.
    """
    facts = server_facts(store.client)
    groups = _readable(store.groups.names)
    agents = sum(len(_readable(partial(store.agents.ids, group))) for group in groups)
    yield from check_server(facts, agents)
    schema = list(_one("schema", lambda: check_schema(audit.schema_version())))
    yield from schema
    yield from _none("keys", "all have the type they must have", partial(_keys, store))
    yield from _none("scripts", "all compile", partial(_scripts, audit))
    yield check_plugins()
    for group in groups:
        yield from _group(store, audit, group, pause)
        yield from _one(
            f"agents of {group}", partial(_agents, store, audit, group, silent_after_ms)
        )
    yield from _none("offices", "all can be read", partial(_offices, store))
    yield from _none("limits of scopes", "all can be read", partial(_limits, store))
    # What is of another layout, or does not say of which, is not for this program to put right.
    repair = repair and all(check.ok for check in schema)
    counting = Recount(store, audit, pause)
    yield from _each("indexes", partial(_recount, groups, counting, audit, repair=repair))
    yield from _none("jobs", "all are listed where they belong", partial(_jobs, store))
    counts = ScopeCounts(store.client, store.keys)
    yield from _one("limits", partial(check_limits, counts, repair=repair))


def _each(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Checks, and one more where what Redis holds cannot be read: it must not hide the others."""
    try:
        yield from look()
    except UNREADABLE as error:
        says = f"what Redis holds cannot be read: {error}"
        yield Check(name, Level.PROBLEM, says)


def _readable(look: Callable[[], list[str]]) -> list[str]:
    """What there is; nothing where it cannot be read, which a check of its own tells."""
    try:
        return look()
    except UNREADABLE:
        return []


def _one(name: str, look: Callable[[], Check]) -> Iterator[Check]:
    return _each(name, lambda: [look()])


def _none(name: str, good: str, look: Callable[[], Sequence[str]]) -> Iterator[Check]:
    """A check that is well where nothing is found."""
    return _one(name, lambda: found(name, good, look()))


def _group(
    store: Store, audit: AuditRepository, group: str, pause: Callable[[float], object]
) -> Iterator[Check]:
    yield from _each(f"group {group}", partial(_options, store, group))
    for name, look in (("leader of", _leader), ("placing in", _placing)):
        check = partial(look, store, audit, group)
        yield from _one(f"{name} {group}", partial(_settled, check, pause))
    yield from _one(f"plugins of {group}", partial(_plugins, audit, group))


def _options(store: Store, group: str) -> Iterable[Check]:
    """Nothing, where a group's record can be read."""
    store.groups.check(group)
    return ()


def _keys(store: Store) -> list[str]:
    mistyped = KeyTypes(store.keys).mistyped(store.client)
    return [
        f"{each.key} is a {each.found} and must be a {each.wanted}: somebody else has written there;"
        f" `redis-cli del {each.key}` takes it away"
        for each in islice(mistyped, KEPT)
    ]


def _scripts(audit: AuditRepository) -> list[str]:
    return [f"{name}: {why}" for name, why in audit.broken_scripts().items()]


def check_plugins() -> Check:
    """What is installed where the doctor runs."""
    try:
        unusable = check_installed()
    except InvalidSetting as error:
        return Check("plugins", Level.PROBLEM, f"no replica starts here: {error}")
    if unusable:
        return Check("plugins", Level.WARNING, "; ".join(unusable))
    return Check("plugins", Level.OK, "all that are installed here can be used")


def check_server(facts: ServerFacts, agents: int) -> Iterator[Check]:
    """What the server says of itself."""
    if not facts.version:
        yield Check(
            "redis",
            Level.WARNING,
            "it tells nothing of itself: version, eviction, persistence and memory are not known",
        )
        return
    yield _version(facts.version)
    if facts.mode == "cluster":
        yield Check("mode", Level.PROBLEM, CLUSTER)
    if facts.replica_of:
        yield Check("role", Level.PROBLEM, f"{REPLICA}: {facts.replica_of}")
    if facts.eviction == "noeviction":
        yield Check("eviction", Level.OK, "maxmemory-policy is noeviction")
    else:
        yield Check(
            "eviction",
            Level.PROBLEM,
            f"maxmemory-policy is {facts.eviction}, so Redis may throw sessions away;"
            " `redis-cli config set maxmemory-policy noeviction` ends that",
        )
    yield _persistence(facts.persistence)
    yield _memory(facts)
    yield _connections(facts, agents)


def _version(version: str) -> Check:
    if tuple(map(int, version.split(".")[:2])) >= OLDEST_REDIS:
        return Check("redis", Level.OK, f"version {version}")
    return Check("redis", Level.PROBLEM, f"version {version} is too old, 6.2 or newer is needed")


def _persistence(kind: str) -> Check:
    if kind == "aof":
        return Check("persistence", Level.OK, "append-only file")
    if kind == "rdb":
        says = "snapshots only: a crash loses what came after; `appendonly yes` keeps it"
    elif kind == "none":
        says = "nothing is kept on disk: a restart loses every session; `appendonly yes` keeps it"
    else:
        says = "Redis does not tell whether it keeps anything on disk"
    return Check("persistence", Level.WARNING, says)


def _memory(facts: ServerFacts) -> Check:
    used = f"{facts.used_memory / 2**20:.0f} MiB used"
    if not facts.max_memory:
        return Check("memory", Level.OK, f"{used}, no maxmemory set")
    share = facts.used_memory / facts.max_memory
    says = f"{used}, {share:.0%} of maxmemory"
    if share < MEMORY_LIMIT:
        return Check("memory", Level.OK, says)
    return Check("memory", Level.PROBLEM, f"{says}: submits are refused from {MEMORY_LIMIT:.0%} on")


def _connections(facts: ServerFacts, agents: int) -> Check:
    need = agents * CONNECTIONS_PER_AGENT + OTHER_CONNECTIONS
    says = f"{facts.clients} of {facts.max_clients} connections in use"
    if facts.max_clients >= need:
        return Check("connections", Level.OK, says)
    return Check(
        "connections",
        Level.PROBLEM,
        f"{says}; {agents} agents may need {need}: raise Redis' maxclients",
    )


def check_schema(version: int | None) -> Check:
    """Whether this program knows the layout."""
    if version is None:
        return Check("schema", Level.WARNING, "no replica has ever run in this namespace")
    if version > VERSION:
        says = (
            f"the data has layout {version}, this program knows up to {VERSION}: update the program"
        )
        return Check("schema", Level.PROBLEM, says)
    if version < VERSION:
        says = (
            f"the data has layout {version}; `scheduler migrate`, or a replica of this version,"
            f" brings it to {VERSION}"
        )
        return Check("schema", Level.PROBLEM, says)
    return Check("schema", Level.OK, f"layout {version}")


def _leader(store: Store, audit: AuditRepository, group: str) -> Check:
    waiting = store.sessions.counts(group)[SessionState.READY]
    return check_leader(group, store.leadership.show(group), audit.now_ms(), waiting)


def _placing(store: Store, audit: AuditRepository, group: str) -> Check:
    waiting = store.sessions.counts(group)[SessionState.READY]
    return check_placing(store.groups.read(group), pool_of(audit.standings(group)), waiting)


def _plugins(audit: AuditRepository, group: str) -> Check:
    broken = audit.refused_by(group, (SCHEDULER, SELECTOR, MODE))
    cure = f"`scheduler group set {group}` names others, `scheduler group history {group}` what it used before"
    return found(
        f"plugins of {group}", "none refuses by being broken", [*broken, cure] if broken else []
    )


def _settled(check: Callable[[], Check], pause: Callable[[float], object]) -> Check:
    """A check that may fail for a moment, as while a leader is elected."""
    for _ in range(LOOKS):
        if (seen := check()).ok:
            return seen
        pause(ELECTION_S / LOOKS)
    return check()


def check_leader(group: str, facts: dict[str, str], now_ms: int, waiting: int) -> Check:
    """Whether a group is led, lock and term are of the same leader, and it has not stopped deciding."""
    name = f"leader of {group}"
    if not facts["lock"]:
        cure = f"start a replica with `scheduler replica run --group {group}`"
        return Check(name, Level.PROBLEM, f"nobody leads: {cure}")
    if facts["lock"] != facts.get("nonce"):
        return Check(name, Level.PROBLEM, "the lock is held, and no term was begun by who holds it")
    leads = f"{facts['holder']} in term {facts['term']}"
    if still := standing_still_ms(facts, now_ms):
        says = f"{leads} has not decided for {still // 1000} s, while {waiting} READY sessions wait; {HANGS}"
        return Check(name, Level.PROBLEM, says)
    return Check(name, Level.OK, leads)


def _agents(store: Store, audit: AuditRepository, group: str, silent_after_ms: int) -> Check:
    problems: list[str] = []
    known, now_ms = store.agents.ids(group), audit.now_ms()
    for page in pages(known):
        beats = store.agents.beats(page)
        for agent in store.agents.many(page):
            problems += unwell(agent, beats.get(agent.id), now_ms, silent_after_ms)
    return found(
        f"agents of {group}", f"{len(known)} known, none silent" if known else "none", problems
    )


def unwell(agent: AgentData, beat: Beat | None, now_ms: int, silent_after_ms: int) -> list[str]:
    """What is wrong with an agent: [] or one sentence."""
    if agent.unreadable:
        named = ", ".join(agent.unreadable)
        return [
            f"{agent.id} has a spoilt record ({named}); restart the agent, which has it made anew"
        ]
    if agent.status is AgentStatus.LEFT:
        return []
    if agent.status is AgentStatus.LOST:
        says = f"; `scheduler agent remove {agent.id}` forgets it"
        if beat and beat.boot == agent.boot and now_ms - beat.at_ms <= silent_after_ms:
            says = f", and beats; its {len(beat.running)} kernels must end before it gets work"
        return [f"{agent.id} is lost{says}"]
    if agent.status is AgentStatus.WAITING:
        why = (agent.candidate or agent.refused).partition(" ")[2]
        return [f"{agent.id} was not admitted: {why}"]
    if beat is None or beat.boot != agent.boot:
        return [f"{agent.id} is {agent.status} and has not beaten for longer than Redis remembers"]
    silent = now_ms - beat.at_ms
    return (
        [f"{agent.id} has been silent for {silent / 1000:.0f} s"]
        if silent > silent_after_ms
        else []
    )


def _recount(
    groups: Sequence[str], counting: Recount, audit: AuditRepository, *, repair: bool
) -> Iterator[Check]:
    tally = counting.indexes()
    if repair and tally.gone:
        for (group, state), ids in tally.gone.items():
            for page in pages(ids):
                audit.unlist(group, state, page)
        tally = counting.indexes()
    cure = ["`scheduler doctor --repair` takes off those without a record"] if tally.gone else []
    amiss = [*cure, *tally.unreadable, *tally.drift]
    yield found("indexes", f"{tally.sessions} sessions stand where they belong", amiss)
    yield from _none("records", "all of them make sense", partial(counting.records, tally))
    if tally.unreadable:
        says = "not counted: not all indexes can be read, so not all sessions are known"
        yield Check("requests", Level.WARNING, says)
    else:
        kinds = f"{len(tally.uses)} kinds count right"
        yield from _none("requests", kinds, partial(counting.requests, tally))
    for group in groups:
        good = "free slots agree with live kernels"
        yield from _none(f"slots of {group}", good, partial(counting.slots, group))
    good = "held by placed sessions, and all of those"
    yield from _none("scopes", good, partial(counting.scopes, tally.uses))


def check_limits(counts: ScopeCounts, *, repair: bool = False) -> Check:
    """Whether scopes count what their sessions have and ask; with ``repair``, put right what they do not."""
    wrong = counts.mend() if repair else counts.miscounts()
    if wrong is None:
        says = "sessions moved all the time, so it could not be counted what scopes have"
        return Check("limits", Level.WARNING, says)
    said = [each.says for each in wrong]
    if not said:
        return Check("limits", Level.OK, "slots and waiting sessions count right")
    if repair:
        return Check("limits", Level.OK, f"put right: {named(said)}")
    cure = "`scheduler doctor --repair` puts that right, as a chore does each hour"
    return Check("limits", Level.PROBLEM, f"{named(said)}; {cure}")


def _limits(store: Store) -> list[str]:
    return [
        f"those of {scope} cannot be read, so it admits nobody; `scheduler scope set {scope} ...` sets them anew"
        for scope in ScopeRepository(store.client, store.keys).unreadable()[:KEPT]
    ]


def _offices(store: Store) -> list[str]:
    spoilt = OfficeRepository(store.client, store.keys).unreadable()
    return [
        f"{name}: {why}; `scheduler office create {name} --force` makes it anew"
        for name, why in spoilt.items()
    ]


def _jobs(store: Store) -> list[str]:
    looked = JobIndex(store.client, store.keys).look()
    amiss = list(islice((each.says for page in looked for each in page.misplaced), KEPT))
    return [*amiss, "`scheduler migrate` lists them anew"] if amiss else []
