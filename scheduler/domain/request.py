"""What scheduling needs to know of a session, as it is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from scheduler.domain import slots as slot_math
from scheduler.domain.constraints import (
    ANYWHERE,
    Constraints,
    in_architecture,
    read_constraints,
)
from scheduler.domain.errors import InvalidSpec
from scheduler.domain.office import JobSchedulerConfig, office_and_role
from scheduler.domain.retry import RetryPolicy, policy_from
from scheduler.domain.scope import GLOBAL_NAME, KINDS, Scope
from scheduler.domain.spec import (
    DEFAULT_TIMEOUT,
    ClusterMode,
    OnLost,
    SessionSpec,
    SessionType,
    backoff_of,
    constraints_of,
    duration_ms,
    silence_ms,
)

#: Beside its slots a kernel may name the architecture it needs.
ARCHITECTURE = "architecture"
#: What a job gets from its office where its spec does not say it.
INHERITED = ("timeout", "retries", "backoff")
#: Stands in a job's request for what its office is to say, should that be unreadable or gone.
_OFFICE = JobSchedulerConfig()


@dataclass(frozen=True, slots=True)
class Request:
    """What scheduling needs to know of a session; equal requests share one id and are decided once."""

    id: str
    text: str  #: canonical JSON
    kernels: tuple[Mapping[str, int], ...]  #: what each kernel asks for
    scopes: tuple[Scope, ...]
    cluster_mode: str
    session_type: SessionType
    private: bool
    timeout_ms: int
    retries: int
    on_lost: OnLost
    constraints: Constraints = ANYWHERE
    families: Mapping[str, int] = field(default_factory=dict)  #: slots of all kernels by family
    owner: str = ""  #: whose share of the group it uses: its user, else its keypair
    keypair: str = ""
    architectures: tuple[str, ...] = ()  #: of each kernel ("" is any), where they differ
    backoff: RetryPolicy | None = None  #: before its retries; None: as the replica was set
    #: Of a job: which of timeout, retries and backoff its office says, since its spec did not.
    inherits: frozenset[str] = frozenset()
    done_pattern: str = ""  #: a line of output that ends a kernel well
    silence_ms: int = 0  #: without output for so long a kernel is stopped; 0 is never
    office: str = ""  #: whose job it is, "" where nobody's; read from its scopes, as its role is
    role: str = ""

    @property
    def known(self) -> bool:
        """False where Redis has lost it: what runs may end, nothing can be placed by it."""
        return bool(self.text)

    @property
    def need(self) -> dict[str, int]:
        """What an idle agent must have at least: all kernels on one node, else what each kernel asks.

        Never more than is needed, as submits are refused by it; where kernels differ, and for
        constraints, the leader looks closer.
        """
        if self.cluster_mode == ClusterMode.SINGLE_NODE:
            return slot_math.total(self.kernels) | slot_math.whole_devices(self.kernels)
        return {
            name: min(kernel[name] for kernel in self.kernels)
            for name in self.kernels[0]
            if all(name in kernel for kernel in self.kernels)
        }

    def under(self, config: JobSchedulerConfig) -> Request:
        """The same with what it inherits from its office, as the office's configuration says it now."""
        if not self.inherits:
            return self
        timeout, retries, backoff = (name in self.inherits for name in INHERITED)
        return replace(
            self,
            timeout_ms=config.timeout_of(self.role) if timeout else self.timeout_ms,
            retries=config.max_retries if retries else self.retries,
            backoff=config.backoff if backoff else self.backoff,
        )

    def constraints_of(self, kernel: int) -> Constraints:
        """What agents must be for one of its kernels."""
        if not self.architectures:
            return self.constraints
        return in_architecture(self.constraints, self.architectures[kernel])

    @property
    def asks(self) -> str:
        """The same for people."""
        if self.cluster_mode == ClusterMode.SINGLE_NODE:
            return slot_math.render_kernels(self.kernels)
        return slot_math.render(self.need)


def request_of(spec: SessionSpec) -> Request:
    """The scheduling part of a spec. Raises InvalidSlots or InvalidSpec."""
    kernels = spec.kernels or (spec.slots,)
    for slots in kernels:
        if not all(type(value) in (str, int) for value in slots.values()):
            slot_math.parse_request(slots)  # says which; the cache below takes True for 1
    return _request(
        tuple(tuple(slots.items()) for slots in kernels),
        spec.cluster_size,
        constraints_of(spec),
        spec.cluster_mode,
        spec.session_type,
        spec.private,
        (spec.keypair, tuple(spec.scopes.items())),
        _tries_of(spec),
        spec.on_lost,
        (spec.done_pattern or "", silence_ms(spec)),
    )


class _Tries(NamedTuple):
    """How long and how often it is tried, as `Request` says it."""

    timeout_ms: int
    retries: int
    backoff: RetryPolicy | None
    inherits: tuple[str, ...]


def _tries_of(spec: SessionSpec) -> _Tries:
    said = (spec.timeout, spec.retries, spec.backoff)
    office = "office" in spec.scopes
    timeout = DEFAULT_TIMEOUT if spec.timeout is None else spec.timeout
    retries = _OFFICE.max_retries if office else 0
    return _Tries(
        _timeout_ms(timeout) if isinstance(timeout, str) else duration_ms(timeout, "timeout"),
        retries if spec.retries is None else spec.retries,
        backoff_of(spec),
        tuple(n for n, value in zip(INHERITED, said, strict=True) if office and value is None),
    )


@lru_cache(maxsize=4096)
def _timeout_ms(text: str) -> int:
    return duration_ms(text, "timeout")


@lru_cache(maxsize=4096)
def _request(  # noqa: PLR0913 - the cache needs hashable parts, and this is its only caller's list
    slots: tuple[tuple[tuple[str, str | int], ...], ...],
    size: int,
    constraints: Constraints,
    mode: str,
    kind: str,
    private: bool,  # noqa: FBT001 - a fact of the spec, not a switch
    owners: tuple[str | None, tuple[tuple[str, str], ...]],
    tries: _Tries,
    on_lost: str,
    monitor: tuple[str, int],
) -> Request:
    architectures = [dict(kernel).get(ARCHITECTURE, constraints.architecture) for kernel in slots]
    if len(set(architectures)) == 1:
        constraints, architectures = in_architecture(constraints, architectures[0]), []
    elif mode == ClusterMode.SINGLE_NODE:
        told = " and ".join(sorted({str(a) or "any" for a in architectures}))
        raise InvalidSpec(
            problem=f"its kernels ask for architectures {told}, and single-node puts them on one agent;"
            " cluster_mode multi-node places each by itself"
        )
    for architecture in architectures:
        in_architecture(constraints, architecture)
    kernels = [[pair for pair in kernel if pair[0] != ARCHITECTURE] for kernel in slots]
    asked = [dict(sorted(slot_math.parse_request(dict(kernel)).items())) for kernel in kernels]
    keypair, named = owners
    done_pattern, silence = monitor
    text = json.dumps(
        {
            "kernels": asked * size,
            "scopes": _scopes(keypair, dict(named), private=private),
            "cluster_mode": mode,
            "session_type": SessionType(kind),
            "private": private,
            "timeout_ms": tries.timeout_ms,
            "retries": tries.retries,
            "on_lost": OnLost(on_lost),
            # Left out where there are none: a request that was stored before there were any reads the same.
            **({"constraints": found} if (found := constraints.as_json()) else {}),
            **({"architectures": architectures} if architectures else {}),
            **({"backoff": tries.backoff.as_json()} if tries.backoff else {}),
            **({"inherits": tries.inherits} if tries.inherits else {}),
            # Its scopes do not tell it.
            **({"keypair": keypair} if private and keypair else {}),
            **({"done_pattern": done_pattern} if done_pattern else {}),
            **({"silence_ms": silence} if silence else {}),
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return parse_request_text(text)


def _scopes(keypair: str | None, named: Mapping[str, str], *, private: bool) -> list[list[str]]:
    """The scopes a session holds while it is placed, in one order."""
    if private:
        return [["private", keypair or named.get("user") or GLOBAL_NAME]]
    held = {**named, "global": GLOBAL_NAME} | ({"keypair": keypair} if keypair is not None else {})
    return [[kind, held[kind]] for kind in KINDS if kind in held]


def charge_text(request: Request) -> str:
    """What a session that asks for this charges its scopes, and whose use it is, as scripts read it."""
    charge = {"scopes": request.scopes, "slots": request.families, "owner": request.owner}
    return json.dumps(charge, separators=(",", ":"))


def lost_request(request: str) -> Request:
    """Stands for a request whose text is gone or no text of one; its sessions can be shown and can end."""
    return Request(
        id=request,
        text="",
        kernels=(),
        scopes=(),
        cluster_mode=ClusterMode.SINGLE_NODE,
        session_type=SessionType.BATCH,
        private=False,
        # The agent has its own copy of the deadline; the leader's is the net below it.
        timeout_ms=duration_ms(DEFAULT_TIMEOUT, "a timeout"),
        retries=0,
        on_lost=OnLost.FAIL,
    )


@lru_cache(maxsize=65_536)
def parse_request_text(text: str) -> Request:
    """Read a stored request. Raises ValueError, TypeError, KeyError or InvalidSpec for what is none."""
    found = json.loads(text)
    scopes = tuple(Scope(kind, name) for kind, name in found["scopes"])
    named = dict(scopes)
    keypair = found.get("keypair") or named.get("keypair", "")
    office, role = office_and_role(scopes)
    return Request(
        id=hashlib.sha256(text.encode()).hexdigest()[:32],
        text=text,
        kernels=tuple(found["kernels"]),
        scopes=scopes,
        cluster_mode=found["cluster_mode"],
        session_type=SessionType(found["session_type"]),
        private=found["private"],
        timeout_ms=found["timeout_ms"],
        retries=found["retries"],
        on_lost=OnLost(found["on_lost"]),
        constraints=read_constraints(found.get("constraints")),
        families=slot_math.asked_by_family(found["kernels"]),
        owner=named.get("user") or keypair,
        keypair=keypair,
        architectures=tuple(found.get("architectures", ())),
        backoff=policy_from(found["backoff"], RetryPolicy()) if "backoff" in found else None,
        inherits=frozenset(found.get("inherits", ())),
        done_pattern=found.get("done_pattern", ""),
        silence_ms=found.get("silence_ms", 0),
        office=office,
        role=role,
    )
