"""Registers this boot, beats, and holds the lease by what is answered."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Protocol

from agents import facts
from agents.held import Held
from agents.identity import Identity
from agents.leash import Leash
from agents.post import Answer, Post
from scheduler.domain.errors import RedisFull, StoreUnavailable
from scheduler.protocol import report as reports
from scheduler.service.loop import Service

_NS: Final = 1_000_000_000
#: Until the first ok, and after an error.
_SOON_S: Final = 0.2
# A leader that lives applies a registration within milliseconds; a dead one is replaced by then.
_REGISTER_EVERY_NS: Final = 3 * _NS
#: Without an answer for so long, and one beat, an agent is not ready.
_SILENT_NS: Final = 3 * _NS
# The beat outlives the lease, so that the leader reads "silent since" and not "never seen".
_TTL_IN_LEASES: Final = 4


class Ruler(Protocol):
    """What answers lead to."""

    def admitted(self) -> None:
        """The first ok: kernels may be claimed."""
        ...

    def stop(self, order: str, text: str) -> None:
        """A stop order stands."""
        ...

    def refused(self, reason: str) -> None:
        """The leader does not want this agent."""
        ...

    def superseded(self) -> None:
        """Another boot of this agent was admitted: ours must end at once."""
        ...

    def forgotten(self) -> None:
        """Redis lost that this boot was admitted, and so all that was placed here since."""
        ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often to beat, and for how long one beat is good."""

    interval_s: float
    lease_ms: int


class Heartbeat:
    """Says what runs, hears whether it may go on."""

    def __init__(
        self,
        identity: Identity,
        post: Post,
        registration: reports.Registration,
        rhythm: Rhythm,
        leash: Leash,
    ) -> None:
        self._identity = identity
        self._post = post
        self._register = reports.encode(registration, identity.key)
        self._predecessors = {registration.swept}  #: boots that were on record before ours
        self._rhythm = rhythm
        self._leash = leash
        self._held = Held()
        self._ruler: Ruler | None = None
        self._ever_admitted = False
        self._registered_ns = 0
        self._said: tuple[str, str] | None = None
        self._heard_ns = facts.boottime_ns()
        self._unheard = ""  #: why the last beat was not answered
        self._over: list[str] = []  #: stops that stood at the last beat, of kernels that are over
        self._log = identity.log()
        self._service = Service("heartbeat", self.run_once)
        self.may_claim = threading.Event()

    def start(self, ruler: Ruler, held: Held) -> None:
        """Begin, in a thread of its own."""
        self._ruler, self._held = ruler, held
        self._service.start()

    def stop(self, timeout: float) -> None:
        """Beat no more."""
        self._service.stop(timeout)

    def doubt(self) -> None:
        """A claim was refused: claim nothing before the next ok, and ask for it now."""
        self.may_claim.clear()
        self._service.wake()

    @property
    def lease_runs(self) -> bool:
        """Whether kernels may run now."""
        return self._leash.until_ns > facts.boottime_ns()

    @property
    def why_not_ready(self) -> str:
        """A sentence about why nothing is claimed now; empty where nothing keeps it from that."""
        if self._unheard:
            return self._unheard
        silent = facts.boottime_ns() - self._heard_ns
        if silent > _SILENT_NS + self._rhythm.interval_s * _NS:
            return f"Redis has not answered for {silent / _NS:.0f} s."
        if self.may_claim.is_set():
            return ""
        what, why = self._said or ("", "")
        return f"It is not admitted ({why if what == 'waiting' else 'no leader has answered yet'})."

    def run_once(self) -> float:
        """One beat; seconds until the next."""
        sent = facts.boottime_ns()
        claims, running = self._held.now()
        ttl_ms = self._rhythm.lease_ms * _TTL_IN_LEASES
        try:
            if not self._registered_ns:
                self._say_register(sent)
            answer = self._post.beat(
                self._identity.boot, ttl_ms, claims=claims, running=running, over=self._over
            )
            if self._unheard:
                self._once("reachable", "")
            self._heard_ns, self._unheard = facts.boottime_ns(), ""
            return self._hear(answer, sent)
        except (StoreUnavailable, RedisFull) as error:
            self._unheard = str(error)
            self._once("unreachable", str(error))
            return _SOON_S

    def _hear(self, answer: Answer, sent: int) -> float:
        ruler = self._ruler
        if ruler is None:
            return _SOON_S
        if answer.word == "ok":
            self._leash.extend(sent + self._rhythm.lease_ms * 1_000_000)
            self._be_admitted(ruler)
            self._over = [order for order in answer.stops if self._held.over(order)]
            for order in answer.stops.keys() - set(self._over):
                ruler.stop(order, answer.stops[order])
            return self._rhythm.interval_s
        self.may_claim.clear()
        if answer.word == "superseded" and not self._ever_admitted:
            self._predecessors.add(answer.reason)
        if answer.word == "refused":
            ruler.refused(answer.reason)
        elif (
            answer.word == "superseded"
            and self._ever_admitted
            and answer.reason not in self._predecessors
        ):
            ruler.superseded()
        elif self._ever_admitted and self._held.any():
            # A failover lost our admission. No record knows what was placed here after it; the same
            # sessions may be placed elsewhere, and here as soon as we are admitted once more.
            self._once("forgotten", "Redis lost its admission, so its kernels are stopped")
            ruler.forgotten()
        else:
            self._wait(answer, sent)
        return _SOON_S

    def _wait(self, answer: Answer, sent: int) -> None:
        """It is not admitted yet."""
        if answer.word == "wait":
            self._once("waiting", answer.reason)
        if sent - self._registered_ns < _REGISTER_EVERY_NS:
            return
        if answer.word == "unknown":
            group = self._identity.group
            self._once("waiting", f"no leader of group {group} answers; is that its group?")
        # Not applied yet, or forgotten, or heard by a leader that is gone; twice does no harm.
        self._say_register(sent)

    def _be_admitted(self, ruler: Ruler) -> None:
        if not self.may_claim.is_set():
            self._once("admitted", "")
            self._ever_admitted = True
            ruler.admitted()
            self.may_claim.set()

    def _say_register(self, now: int) -> None:
        self._post.report([self._register])
        if not self._registered_ns:
            self._once("registering", "")
        self._registered_ns = now

    def _once(self, what: str, why: str) -> None:
        """Log what is new, not what goes on."""
        if self._said != (what, why):
            self._said = (what, why)
            self._log.info(f"agent.{what}", **({"why": why} if why else {}))
