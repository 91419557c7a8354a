"""The key space: everything Redis holds for us is on this page, and nowhere else.

Each method's docstring names type, content, writer and lifetime. The Lua side is generated from
these methods (`lua_functions`, `lua_written_out`), so there is one truth. What lies under ``agent:<id>:`` is the
agent's own; it needs to write nothing else but its group's reports stream, so that a Redis ACL can
hold it to that.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

_CALL: Final = re.compile(r"\bkeys\.(\w+)\(([^()]*)\)")
_PLAIN: Final = re.compile(r"[\w.\[\]]+|'[^']*'")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one namespace."""

    root: str

    def schema(self) -> str:
        """hash, layout version and limits in force; written once, for ever"""
        return f"{self.root}:schema"

    def counters(self) -> str:
        """hash, epoch and seq of events, number of submissions; every script, for ever"""
        return f"{self.root}:counters"

    def events(self) -> str:
        """stream with ids epoch-seq, what happened; every script, trimmed by count"""
        return f"{self.root}:events"

    def session(self, session: str) -> str:
        """hash, one SessionRow; apps and leader, until retention forgets it"""
        return f"{self.root}:session:{session}"

    def payload(self, session: str) -> str:
        """string, the work as JSON; the app, as long as its session"""
        return f"{self.root}:session:{session}:payload"

    def result(self, session: str) -> str:
        """string, what the main kernel returned as JSON; leader, as long as its session"""
        return f"{self.root}:session:{session}:result"

    def parents(self, session: str) -> str:
        """hash, dependency -> unmet, met or held, and a policy; apps and leader, as long as its session"""
        return f"{self.root}:session:{session}:parents"

    def dependents(self, session: str) -> str:
        """set, sessions that wait for this one; apps and leader, until it ended"""
        return f"{self.root}:session:{session}:dependents"

    def held(self, session: str) -> str:
        """set, dependents that are held since this one did not succeed; leader, as long as its session"""
        return f"{self.root}:session:{session}:held"

    def cascaded(self, session: str) -> str:
        """set, dependents cancelled because this one failed; leader, as long as its session"""
        return f"{self.root}:session:{session}:cascaded"

    def request(self, request: str) -> str:
        """hash, text of one kind of request and how many sessions use it; until none does"""
        return f"{self.root}:request:{request}"

    def graph(self, graph: str) -> str:
        """hash, facts of a graph and how far it is loaded and shown; apps and leader, as long as its sessions"""
        return f"{self.root}:graph:{graph}"

    def graph_jobs(self, graph: str) -> str:
        """list, "session name" of each job, parents first; apps, as long as its graph"""
        return f"{self.root}:graph:{graph}:jobs"

    def graph_roots(self, graph: str) -> str:
        """set, sessions of a graph that wait for nothing but its seal; apps and leader, until released"""
        return f"{self.root}:graph:{graph}:roots"

    def graphs(self) -> str:
        """zset, graphs that were sealed by the ms they were; apps and leader, as long as they are"""
        return f"{self.root}:graphs"

    def graphs_loading(self, group: str) -> str:
        """zset, graphs being loaded by the ms at which they expire; apps and leader"""
        return f"{self.root}:group:{group}:loading"

    def unseen(self, group: str) -> str:
        """zset, sessions of graphs that are not to be seen yet, by number; apps and leader"""
        return f"{self.root}:group:{group}:unseen"

    def idempotency(self, key: str) -> str:
        """string, "session digest" of the submit that used this key; apps, as long as its session"""
        return f"{self.root}:idempotency:{key}"

    def done(self, session: str) -> str:
        """pub/sub channel, told the state when the session ends; leader and apps"""
        return f"{self.root}:done:{session}"

    def groups(self) -> str:
        """set, names of scaling groups; operators and replicas, for ever"""
        return f"{self.root}:groups"

    def group(self, group: str) -> str:
        """hash, options, shapes of its agents, memory pressure; operators and leader, for ever"""
        return f"{self.root}:group:{group}"

    def group_revisions(self, group: str) -> str:
        """hash, number -> options as they were set then, as JSON; operators, the last 100"""
        return f"{self.root}:group:{group}:revisions"

    def state(self, group: str, state: str) -> str:
        """zset, sessions of a group in one state by time (READY: by rank); every move"""
        return f"{self.root}:group:{group}:state:{state}"

    def jobs(self, office: str, state: str) -> str:
        """zset, an office's jobs in one state by order of submission; every move, while there are some"""
        return f"{self.root}:office:{office}:jobs:{state}"

    def jobs_of_role(self, office: str, role: str, state: str) -> str:
        """zset, those of them that have this role; every move, while there are some"""
        return f"{self.root}:office:{office}:role:{role}:jobs:{state}"

    def timers(self, group: str) -> str:
        """zset, sessions by the ms of Redis' clock at which the leader must look at them"""
        return f"{self.root}:group:{group}:timers"

    def resolve(self, group: str) -> str:
        """zset, ended sessions whose dependents are still to be told; leader works it off"""
        return f"{self.root}:group:{group}:resolve"

    def inbox(self, group: str) -> str:
        """stream, what apps and operators did that the leader must know; trimmed by the leader"""
        return f"{self.root}:group:{group}:inbox"

    def reports(self, group: str) -> str:
        """stream, what agents say; agents append, the leader applies and trims"""
        return f"{self.root}:group:{group}:reports"

    def leadership(self, group: str) -> str:
        """hash, term, holder, its renewal connection, report cursor, counts, a turn that hangs; leader, for ever"""
        return f"{self.root}:group:{group}:leadership"

    def verdicts(self, group: str) -> str:
        """hash, request id -> the leader's last refusal as JSON; leader, while such sessions wait"""
        return f"{self.root}:group:{group}:verdicts"

    def selector(self, group: str) -> str:
        """hash, selector or scheduler:NAME -> what it goes on from after a take-over; leader, with placements"""
        return f"{self.root}:group:{group}:selector"

    def use(self, group: str, day: str) -> str:
        """hash, owner, line break, family -> slots x seconds held on a day; leader, for 60 days"""
        return f"{self.root}:group:{group}:use:{day}"

    def shadow(self, group: str) -> str:
        """string, how its shadow decides differently, as JSON; leader, while the group has a shadow"""
        return f"{self.root}:group:{group}:shadow"

    def positions(self, group: str) -> str:
        """string, "ms scheduler" and the ids of the first thousand that would be tried; leader, each 5 s at most"""
        return f"{self.root}:group:{group}:positions"

    def tally(self, group: str) -> str:
        """hash, what the group's cycles did, see domain/tally.py; leader, once a second at most"""
        return f"{self.root}:group:{group}:tally"

    def profile(self, token: str) -> str:
        """list, a packed profile that somebody asked for; leader, until fetched, with a TTL"""
        return f"{self.root}:profile:{token}"

    def group_agents(self, group: str) -> str:
        """set, ids of the group's agents; leader, until removed"""
        return f"{self.root}:group:{group}:agents"

    def record(self, agent: str) -> str:
        """hash, what the leader knows and answers of an agent; leader, until removed"""
        return f"{self.root}:agents:{agent}"

    def beat(self, agent: str) -> str:
        """string, last beat as JSON; the agent, with a TTL of some leases"""
        return f"{self.root}:agent:{agent}:beat"

    def orders(self, agent: str) -> str:
        """hash, order id -> signed order; leader puts, the agent's claim takes"""
        return f"{self.root}:agent:{agent}:orders"

    def stops(self, agent: str) -> str:
        """hash, order id -> signed stop order; leader puts, until the kernel is over"""
        return f"{self.root}:agent:{agent}:stops"

    def claims(self, agent: str) -> str:
        """string, how many orders it ever claimed; the agent's claim script, until removed"""
        return f"{self.root}:agent:{agent}:claims"

    def log(self, agent: str, order: str) -> str:
        """stream, output of one kernel; the agent, capped in bytes, TTL of the retention"""
        return f"{self.root}:agent:{agent}:log:{order}"

    def offices(self) -> str:
        """set, names of offices; operators, for ever"""
        return f"{self.root}:offices"

    def office(self, office: str) -> str:
        """hash, configuration as JSON, revision, a field per role; operators, its revision for ever"""
        return f"{self.root}:office:{office}"

    def scope_members(self, kind: str, name: str) -> str:
        """set, sessions holding the scope; leader, while placed"""
        return f"{self.root}:scope:members:{kind}:{name}"

    def scope_use(self) -> str:
        """hash by "kind name", JSON: slots held, sessions that wait and what they ask; every script, while not 0"""
        return f"{self.root}:scope:use"

    def scope_limits(self) -> str:
        """hash by "kind name", JSON of the scope's limits; operators, for ever"""
        return f"{self.root}:scope:limits"

    def subscribers(self) -> str:
        """set, names of subscribers; operators, for ever"""
        return f"{self.root}:subscribers"

    def subscriber(self, name: str) -> str:
        """hash, what one subscriber wants, its cursor and how deliveries went; until removed"""
        return f"{self.root}:subscriber:{name}"

    def subscriber_lock(self, name: str) -> str:
        """string, nonce of the replica that delivers to one subscriber; python-redis-lock, TTL 30 s"""
        return f"lock:{self.subscriber_lock_name(name)}"

    def subscriber_lock_name(self, name: str) -> str:
        """not a key: the name python-redis-lock puts its prefix before"""
        return f"{self.root}:delivers:{name}"

    def api_keys(self) -> str:
        """set, ids of API keys, revoked ones too; operators, for ever"""
        return f"{self.root}:api-keys"

    def api_key(self, key: str) -> str:
        """hash, what an API key may do and the digest of its secret; operators and the API, for ever"""
        return f"{self.root}:api-key:{key}"

    def callback(self, entry: str) -> str:
        """hash, one outcome to be posted; written with the end of its session, until delivered"""
        return f"{self.root}:callback:{entry}"

    def callback_lane(self, lane: str) -> str:
        """zset, entries of one host by when they are due; replicas, while there are any"""
        return f"{self.root}:callback:lane:{lane}"

    def callback_lanes(self) -> str:
        """zset, hosts by when they are to be looked at; replicas, while they have entries"""
        return f"{self.root}:callback:lanes"

    def callback_holds(self) -> str:
        """hash, host -> until when nobody else posts there; replicas, while it has entries"""
        return f"{self.root}:callback:holds"

    def callback_failures(self) -> str:
        """hash, host -> failures in a row without any answer; replicas, while it has entries"""
        return f"{self.root}:callback:failures"

    def callback_took(self) -> str:
        """hash, host -> when it took one last; replicas, while others are parked"""
        return f"{self.root}:callback:took"

    def callbacks_parked(self) -> str:
        """zset, entries that were given up, by when; replicas, seven days"""
        return f"{self.root}:callback:parked"

    def lock(self, group: str) -> str:
        """string, nonce of the leader; python-redis-lock, TTL 3 s"""
        return f"lock:{self.lock_name(group)}"

    def lock_name(self, group: str) -> str:
        """not a key: the name python-redis-lock puts its prefix before"""
        return f"{self.root}:leader:{group}"

    def digests(self) -> str:
        """zset of score 0, "office" or "office/role" of every digest of durations; leader, until forgotten"""
        return f"{self.root}:digests"

    def durations(self, job: str) -> str:
        """hash, bucket of a time -> how many runs of an "office" or "office/role"; leader, 90 days after the last"""
        return f"{self.root}:durations:{job}"

    def chores_name(self) -> str:
        """not a key: the name of the queue of chores, as RQ and `rq info` have it"""
        return f"{self.root}:chores"

    def chores(self) -> str:
        """list, RQ job ids of chores; the leader pushes, every replica pops"""
        return f"rq:queue:{self.chores_name()}"

    def chores_due(self, group: str) -> str:
        """zset, a group's chores by when each is due (s of Redis' clock); rq-scheduler, for ever"""
        return f"{self.root}:group:{group}:chores"

    def chores_ran(self, group: str) -> str:
        """hash, chore -> its last run as JSON; replicas, for ever"""
        return f"{self.root}:group:{group}:chores:ran"

    def rq_queue(self, agent: str) -> str:
        """list, RQ job ids for one agent; leader pushes, agent pops"""
        return f"rq:queue:{self.root}:agent:{agent}"

    def rq_job(self, order: str) -> str:
        """hash, an RQ job naming one order; leader, until claimed or withdrawn"""
        return f"rq:job:{order}"

    def rq_queues(self) -> str:
        """set, RQ's own registry of queues"""
        return "rq:queues"


def lua_functions(used: set[str]) -> str:
    """The named keys as Lua functions over ``ns``, e.g. ``keys.session(session)``."""
    return "\n".join(["local keys = {}", *map(_lua_function, sorted(used))])


def lua_written_out(code: str) -> str:
    """Code with the keys written out where their parts are plain words: what is left are functions.

    A script makes its functions anew at each call, and a call of one costs as much as the key itself.
    """
    return _CALL.sub(_written_out, code)


def _written_out(call: re.Match[str]) -> str:
    given = [part.strip() for part in call[2].split(",")] if call[2].strip() else []
    if not all(map(_PLAIN.fullmatch, given)):
        return call[0]
    parameters, parts = _lua_parts(call[1])
    if len(parameters) != len(given):
        return call[0]
    values = dict(zip(parameters, given, strict=True))
    return f"({' .. '.join(values.get(part, part) for part in parts)})"


def _lua_function(name: str) -> str:
    parameters, parts = _lua_parts(name)
    return f"function keys.{name}({', '.join(parameters)}) return {' .. '.join(parts)} end"


@cache
def _lua_parts(name: str) -> tuple[list[str], list[str]]:
    """The parameters of a key, and what it is put together from: these, ``ns`` and quoted texts."""
    mark = "\x00"
    method = getattr(Keys(f"{mark}ns{mark}"), name)
    parameters = list(inspect.signature(method).parameters)
    template = method(*[f"{mark}{p}{mark}" for p in parameters])
    parts = [
        part if index % 2 else f"'{part}'"
        for index, part in enumerate(template.split(mark))
        if part
    ]
    return parameters, parts
