"""What the store should hold, said again in plain Python: no Redis, no Lua, only the words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from scheduler.domain.scope import ScopeLimits
from scheduler.domain.states import KernelState, SessionState

S: TypeAlias = SessionState
K: TypeAlias = KernelState
WAITING = {S.PENDING, S.READY, S.RETRYING}
PLACED = {S.SCHEDULED, S.PREPARING, S.RUNNING, S.TERMINATING}
FINAL = {S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED}
LIVE = {K.ORDERED, K.CLAIMED, K.UP, K.STOPPING}
#: Written down here once more: a model that asked the code would agree with it whatever that says.
STRENGTH = ["", "unplaced", "lost", "failed", "silent", "timed_out", "cancelled"]
ENDS = {
    "end": {S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED, S.RETRYING, S.READY},
    "rescue": {S.FAILED, S.TIMED_OUT, S.CANCELLED, S.RETRYING, S.READY},
}


@dataclass(slots=True)
class Kernel:
    """One kernel of a placement; ``taken`` once its agent has its order."""

    agent: str
    cpu: int
    state: K = K.ORDERED
    taken: bool = False


@dataclass(slots=True)
class Session:
    """One session."""

    request: str
    scopes: set[str]
    size: int
    cpu: int
    mem: int
    state: S
    parents: dict[str, bool]  #: id -> met
    kernels: list[Kernel] = field(default_factory=list)
    placement: str = ""
    why: str = ""
    attempts: int = 0
    job: str = ""  #: the office, or office/role, that it is a job of
    priority: int = 10
    cancelling: bool = False  #: asked for while it was placed: it must not run once more

    @property
    def unmet(self) -> int:
        return sum(not met for met in self.parents.values())

    @property
    def asks(self) -> dict[str, int]:
        asked = {"cpu": self.cpu * self.size, "mem": self.mem * self.size}
        return {family: amount for family, amount in asked.items() if amount}


@dataclass(slots=True)
class Agent:
    """One agent."""

    boot: str
    cpu: int
    drained: bool = False


class Model:
    """The whole namespace."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.agents: dict[str, Agent] = {}
        self.dependents: dict[str, set[str]] = {}
        self.cascaded: dict[str, set[str]] = {}
        self.limits: dict[str, ScopeLimits] = {}

    def free(self, agent: str) -> int:
        held = (
            k
            for s in self.sessions.values()
            for k in s.kernels
            if k.agent == agent and k.state in LIVE
        )
        return self.agents[agent].cpu - sum(kernel.cpu for kernel in held)

    def jobs(self, list_: str, state: S) -> set[str]:
        """Those in a state, of an office or of one role of it."""
        return {
            id_
            for id_, s in self.sessions.items()
            if s.state is state and list_ in (s.job, s.job.partition("/")[0])
        }

    def members(self, scope: str) -> set[str]:
        return {id_ for id_, s in self.sessions.items() if s.state in PLACED and scope in s.scopes}

    def waits(self, scope: str) -> list[Session]:
        return [s for s in self.sessions.values() if s.state in WAITING and scope in s.scopes]

    def slots(self, scope: str, *, waiting: bool) -> dict[str, int]:
        """By family, what holds the scope or, waiting, asks for it."""
        ids = self.members(scope)
        found = self.waits(scope) if waiting else [self.sessions[id_] for id_ in ids]
        summed: dict[str, int] = {}
        for session in found:
            for family, amount in session.asks.items():
                summed[family] = summed.get(family, 0) + amount
        return summed

    def may_wait(self, session: Session) -> bool:
        """Whether its scopes let it begin to wait; the others count, not itself."""
        for scope in session.scopes:
            limits, asked = self.limits.get(scope, ScopeLimits()), self.slots(scope, waiting=True)
            most = limits.max_pending_sessions
            if most is not None and len(self.waits(scope)) >= most:
                return False
            for family, limit in limits.max_pending_slots.items():
                amount = session.asks.get(family, 0)
                if amount and asked.get(family, 0) + amount > limit:
                    return False
        return True

    def _has_room(self, session: Session) -> bool:
        for scope in session.scopes:
            limits, held = self.limits.get(scope, ScopeLimits()), self.slots(scope, waiting=False)
            if limits.max_sessions is not None and len(self.members(scope)) >= limits.max_sessions:
                return False
            if limits.main_keypair:
                limits = self.limits.get(f"keypair {limits.main_keypair}", ScopeLimits())
                if limits == ScopeLimits():
                    return False
            for family, amount in session.asks.items() if limits.max_slots else ():
                others = 0 if limits.unspecified_slots == "zero" else None
                limit = limits.max_slots.get(family, others)
                if limit is not None and held.get(family, 0) + amount > limit:
                    return False
        return True

    def add(self, id_: str, session: Session) -> None:
        self.sessions[id_] = session
        self._wait_for_parents(id_)

    def _wait_for_parents(self, id_: str) -> None:
        session = self.sessions[id_]
        for parent in [parent for parent, met in session.parents.items() if not met]:
            if parent not in self.sessions:
                continue  # the sweep says what that means
            session.parents[parent] = self.sessions[parent].state is S.SUCCEEDED
            if not session.parents[parent]:
                self.dependents.setdefault(parent, set()).add(id_)
        session.state = S.PENDING if session.unmet else S.READY

    def place(self, id_: str, placement: str, agents: list[str]) -> set[str]:
        """The words it may answer; placed if that is the only one."""
        session = self.sessions[id_]
        if session.state is not S.READY:
            return {"stale"}
        if not self._has_room(session):
            return {"limited"}
        wanted = {agent: session.cpu * agents.count(agent) for agent in agents}
        words = {"away" for agent in wanted if self.agents[agent].drained}
        words |= {"full" for agent, cpu in wanted.items() if cpu > self.free(agent)}
        if words:
            return words
        session.state, session.placement = S.SCHEDULED, placement
        session.kernels = [Kernel(agent, session.cpu) for agent in agents]
        return {"placed"}

    def claim(self, id_: str, index: int) -> str:
        session, kernel = self.sessions[id_], self.sessions[id_].kernels[index]
        if kernel.state is not K.ORDERED:
            return "already"
        kernel.state = K.CLAIMED
        if session.state is S.SCHEDULED:
            session.state, session.attempts = S.PREPARING, session.attempts + 1
        return "done"

    def up(self, id_: str, index: int) -> str:
        session, kernel = self.sessions[id_], self.sessions[id_].kernels[index]
        if kernel.state is not K.CLAIMED:
            return "already"
        kernel.state = K.UP
        if session.state is S.PREPARING and all(k.state is K.UP for k in session.kernels):
            session.state = S.RUNNING
        return "done"

    def over(self, id_: str, index: int, state: K) -> str:
        kernel = self.sessions[id_].kernels[index]
        may_end = {K.CLAIMED, K.UP, K.STOPPING} if state is K.ENDED else LIVE
        if kernel.state not in may_end:
            return "already"
        kernel.state = state
        return "done"

    def stop(self, id_: str, reason: str) -> str:
        session = self.sessions[id_]
        if session.state not in PLACED:
            return "ended" if session.placement else "superseded"
        if session.state is S.TERMINATING and STRENGTH.index(session.why) >= STRENGTH.index(reason):
            return "weaker"
        alive = [kernel for kernel in session.kernels if kernel.state in LIVE]
        for kernel in alive:
            unclaimed = kernel.state is K.ORDERED and not kernel.taken
            kernel.state = K.WITHDRAWN if unclaimed else K.STOPPING
        none_ran = all(kernel.state is K.WITHDRAWN for kernel in alive)
        unplaced = session.state is S.SCHEDULED and none_ran
        if unplaced and (reason == "cancelled" or (reason == "unplaced" and session.cancelling)):
            session.state = S.CANCELLED
            return "cancelled"
        if unplaced and reason == "unplaced":
            self.to_ready(session)
            return "unplaced"
        if session.state is S.SCHEDULED and not none_ran:
            session.attempts += 1
        session.state, session.why = S.TERMINATING, reason
        return "stopping"

    def finish(self, id_: str, edge: str, target: S) -> str:
        session = self.sessions[id_]
        if not session.placement:
            return "superseded"
        if (
            session.state not in PLACED
            or target not in ENDS[edge]
            or (edge, session.state) == ("end", S.SCHEDULED)
        ):
            return "stale"
        if any(kernel.state in LIVE for kernel in session.kernels):
            return "alive"
        if session.cancelling and target not in FINAL:
            target = S.CANCELLED
        if target is S.READY:
            self.to_ready(session)
        session.state = target
        return "done"

    @staticmethod
    def to_ready(session: Session) -> None:
        session.state, session.placement, session.kernels = S.READY, "", []

    def cancel(self, id_: str) -> str:
        session = self.sessions[id_]
        if session.state in FINAL:
            return "ended"
        if session.state in PLACED:
            session.cancelling = True
            return "accepted"
        session.state = S.CANCELLED
        return "cancelled"

    def set_priority(self, id_: str, priority: int) -> bool:
        """Whether it may have another one."""
        session = self.sessions[id_]
        if session.state in FINAL:
            return False
        session.priority = priority
        return True

    def queue(self) -> list[str]:
        """READY ones, best first; sessions stand in the order of their submission."""
        ready = [id_ for id_, s in self.sessions.items() if s.state is S.READY]
        return sorted(ready, key=lambda id_: -self.sessions[id_].priority)

    def hand_over(self, id_: str, role: str) -> bool:
        """Whether a job may have this role of its office."""
        session = self.sessions[id_]
        office, state = session.job.partition("/")[0], session.state
        if state not in WAITING | FINAL - {S.SUCCEEDED}:
            return False
        job, before = f"{office}/{role}", session.scopes
        if job == session.job:
            return True
        scopes = {scope for scope in before if not scope.startswith("role ")} | {f"role {job}"}
        if state in WAITING:
            # It does not count against itself.
            session.state, session.scopes = S.FAILED, scopes
            fits = self.may_wait(session)
            session.state, session.scopes = state, before
            if not fits:
                return False
        session.job, session.scopes = job, scopes
        return True

    def settle(self, id_: str, edge: str) -> str:
        session = self.sessions[id_]
        sources = {
            "expire": WAITING,
            "refuse": {S.READY},
            "requeue": {S.RETRYING},
            "release": {S.PENDING},
        }
        if session.state not in sources[edge]:
            return "stale"
        if edge == "release":
            return "waits"  # without start times, what is PENDING has unmet dependencies
        if edge == "requeue":
            self.to_ready(session)
        session.state = {"expire": S.CANCELLED, "refuse": S.FAILED, "requeue": S.READY}[edge]
        return "done"

    def retry(self, id_: str, *, along: bool) -> list[str]:
        """The ids that run again; none is a refusal."""
        if not self._again(id_):
            return []
        taken = [id_]
        for parent in taken if along else ():
            children = self.cascaded.pop(parent, set())
            taken += [child for child in children if child in self.sessions and self._again(child)]
        return taken

    def _again(self, id_: str) -> bool:
        session = self.sessions[id_]
        if session.state not in FINAL - {S.SUCCEEDED} or not self.may_wait(session):
            return False
        session.state, session.cancelling = S.PENDING, False
        self._wait_for_parents(id_)
        if session.state is S.READY:
            self.to_ready(session)
        return True

    def resolve(self, id_: str) -> None:
        """Tell all its dependents."""
        parent = self.sessions.get(id_)
        if parent is None or parent.state not in FINAL:
            return
        for child_id in self.dependents.pop(id_, set()):
            child = self.sessions.get(child_id)
            if child is None or child.parents.get(id_, True):
                continue
            if parent.state is S.SUCCEEDED:
                child.parents[id_] = True
                if child.state is S.PENDING and not child.unmet:
                    self.to_ready(child)
            elif child.state is S.PENDING:
                child.state = S.CANCELLED
                self.cascaded.setdefault(id_, set()).add(child_id)

    def forget(self, state: S) -> set[str]:
        gone = {
            id_
            for id_, s in self.sessions.items()
            if s.state is state and not self.dependents.get(id_)
        }
        for id_ in gone:
            del self.sessions[id_]
            self.cascaded.pop(id_, None)
        return gone
