"""What an app asks for: a SessionSpec, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from scheduler.domain.callback import check_callback
from scheduler.domain.constraints import Constraints, make_constraints
from scheduler.domain.dependency import edges_of
from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.domain.ids import has_control_characters, is_name, is_session_id, shown
from scheduler.domain.monitor import done_line
from scheduler.domain.retry import RetryPolicy, policy_from
from scheduler.domain.scope import LONGEST_NAME, parse_scope

MAX_DEPENDENCIES = 20_000
MAX_KERNELS = 1_000
MAX_RETRIES = 1_000
DEFAULT_PRIORITY = 10
HIGHEST_PRIORITY = 100
DEFAULT_TIMEOUT = "30m"
DEFAULT_SLOTS: Mapping[str, str | int] = {"cpu": "1"}

_CALLABLE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_WORD = f"1 to {LONGEST_NAME} characters and no control characters"
_YEARS = (1970, 9000)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?")
_UNIT_MS = {"ms": 1, "s": 1_000, None: 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 100 * 365 * 86_400_000
#: What each field must be; the others are looked at one by one.
_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "callable": ((str, type(None)), "a text such as package.module:function"),
    "args": ((list, tuple), "a list"),
    "kwargs": (Mapping, "a mapping"),
    "env": (Mapping, "a mapping"),
    "slots": (Mapping, 'a mapping such as {"cpu": "1", "mem": "256MiB"}'),
    "cluster_mode": (str, "a text"),
    "kernels": ((list, tuple), "a list with the slots of each"),
    "labels": (Mapping, 'a mapping such as {"zone": "a"}'),
    "preferred_labels": (Mapping, 'a mapping such as {"zone": "a"}'),
    "architecture": (str, "a text such as x86_64"),
    "agents": ((list, tuple), "a list of ids"),
    "agents_strict": (bool, "True or False"),
    "endpoint": (str, "a text"),
    "private": (bool, "True or False"),
    "group": (str, "a text"),
    "name": (str, "a text"),
    "keypair": ((str, type(None)), "a text"),
    "scopes": (Mapping, 'a mapping of kind to name such as {"user": "alice"}'),
    "depends_on": (
        (list, tuple, Mapping),
        "a list of sessions or their ids, or a mapping of ids to cancel, ignore or hold",
    ),
    "not_before": ((datetime, type(None)), "a datetime with a time zone"),
    "idempotency_key": ((str, type(None)), "a text"),
    "done_pattern": ((str, type(None)), "a text"),
    "callback": (str, "an address such as https://ci.example.org/done"),
}


class SessionType(StrEnum):
    """What a session is for."""

    INTERACTIVE = "interactive"
    BATCH = "batch"
    INFERENCE = "inference"
    SYSTEM = "system"


class ClusterMode(StrEnum):
    """How the kernels of a session are spread; plugins add further modes by their names."""

    SINGLE_NODE = "single-node"  #: all on one agent
    MULTI_NODE = "multi-node"  #: each placed by itself, all or none


class OnLost(StrEnum):
    """What becomes of a session whose agent is lost."""

    RERUN = "rerun"  #: run it again elsewhere, up to the group's max_rescues
    FAIL = "fail"
    KEEP = "keep"  #: no death by lease and no rescue: it waits for its agent, or for an operator


def duration_ms(value: str | float | timedelta, what: str) -> int:
    """Read ``"30m"``, ``"1.5h"``, seconds as a number or bare text, or a timedelta. Raises InvalidSpec.

    ``what`` is the name of the thing, as the sentence begins with it: "timeout".
    """
    if isinstance(value, timedelta):
        found: float = value.total_seconds() * 1_000
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        found = float(match[1]) * _UNIT_MS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = value * 1_000
    else:
        raise InvalidSpec(
            problem=f"{what} must be a duration such as 30s, 30m, 1.5h or 2d"
            f" (a bare number is seconds), got {shown(value)}"
        )
    if found > _LONGEST_MS:
        raise InvalidSpec(problem=f"{what} must be at most a hundred years, got {shown(value)}")
    if not found >= 1:  # not a number is neither
        raise InvalidSpec(problem=f"{what} must be more than zero, got {shown(value)}")
    return int(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """One session as a person asks for it.

    Either ``callable`` (``"package.module:function"`` with JSON ``args`` and ``kwargs``) or
    ``command`` (a list of words). ``slots`` are per kernel, as in ``{"cpu": "1", "mem": "256MiB"}``;
    ``kernels`` are the slots of each kernel, where they differ; each may name its ``architecture``.
    ``labels``, ``architecture`` and ``agents`` say where it may run, ``preferred_labels`` and
    ``agents_strict=False`` where it would rather run (``docs/placement.md``). ``keypair`` and
    ``scopes`` (``{"user": "alice", "group": "vision"}``, one name per kind) say whose limits it
    counts against (``docs/limits.md``). ``depends_on`` are sessions to wait for, or a mapping of their ids
    to what it means when one does not succeed: cancel (so in a list), ignore or hold (``docs/graphs.md``).
    Where ``timeout``, ``retries`` and ``backoff`` (a mapping with
    some fields of `RetryPolicy`) are not given, a job of an office gets what its office says when it
    runs (``docs/offices.md``), any other session 30 minutes, none, and what its replica was set to.
    Beside its exit, a whole line of its output that matches the
    regular expression ``done_pattern`` ends a kernel well, and ``silence_timeout`` without any output
    ends it badly (``docs/output-monitor.md``). ``callback`` is an http(s) address that its outcome is posted to
    when it has ended (``docs/notifications.md``).
    Raises InvalidSpec or InvalidSlots with one sentence when it makes no sense.
    """

    callable: str | None = None
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    slots: Mapping[str, str | int] = field(default_factory=lambda: DEFAULT_SLOTS)
    cluster_size: int = 1
    cluster_mode: str = ClusterMode.SINGLE_NODE
    kernels: Sequence[Mapping[str, str | int]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    preferred_labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    agents: Sequence[str] = ()
    agents_strict: bool = True
    endpoint: str = ""
    session_type: SessionType = SessionType.BATCH
    private: bool = False
    group: str = DEFAULT_GROUP
    name: str = ""
    priority: int = DEFAULT_PRIORITY
    keypair: str | None = None
    scopes: Mapping[str, str] = field(default_factory=dict)
    depends_on: Sequence[str] | Mapping[str, str] = ()
    timeout: str | float | timedelta | None = None
    retries: int | None = None
    backoff: Mapping[str, Any] | RetryPolicy | None = None
    not_before: datetime | None = None
    idempotency_key: str | None = None
    on_lost: OnLost = OnLost.RERUN
    done_pattern: str | None = None
    silence_timeout: str | float | timedelta | None = None
    callback: str = ""

    def __post_init__(self) -> None:
        self._check_types()
        self._check_work()
        self._check_numbers()
        self._check_kernels()
        constraints_of(self)
        self._check_words()
        self._check_names()
        self._check_dependencies()
        if self.done_pattern is not None:
            done_line(self.done_pattern)
        silence_ms(self)
        check_callback(self.callback)

    def _check_types(self) -> None:
        for name, (kind, says) in _TYPES.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise InvalidSpec(problem=f"{name} must be {says}, got {shown(value)}")

    def _check_work(self) -> None:
        self._check_command()
        env: Mapping[Any, Any] = self.env
        for name, value in env.items():
            if not isinstance(name, str) or not _ENV_NAME.fullmatch(name):
                raise InvalidSpec(
                    problem=f"environment variable {shown(name)} is no name:"
                    " letters, digits and _ only, and no digit first"
                )
            if not isinstance(value, str) or "\0" in value:
                raise InvalidSpec(
                    problem=f"environment variable {name} must be a text without NUL characters"
                )

    def _check_command(self) -> None:
        if (self.callable is None) == (self.command is None):
            raise InvalidSpec(problem="give either a callable or a command")
        if self.callable is not None and not _CALLABLE.fullmatch(self.callable):
            raise InvalidSpec(
                problem=f"callable {shown(self.callable)} is not of the form package.module:function"
            )
        if self.command is not None:
            if not _is_list_of_text(self.command):
                raise InvalidSpec(
                    problem='a command is a list of words, such as ["python", "job.py"]'
                )
            if (
                not self.command
                or not self.command[0]
                or any("\0" in word for word in self.command)
            ):
                raise InvalidSpec(problem="a command needs a program to run, and no NUL characters")
            if self.args or self.kwargs:
                raise InvalidSpec(
                    problem="args and kwargs are for callables; put them into the command"
                )
        if not _is_list_of_text(list(self.kwargs)):
            raise InvalidSpec(problem="kwargs must have names as its keys")

    def _check_numbers(self) -> None:
        if why := _no_priority(self.priority):
            raise InvalidSpec(problem=f"priority {why}")
        retries = self.retries
        if retries is not None and (not _is_int(retries) or not 0 <= retries <= MAX_RETRIES):
            raise InvalidSpec(
                problem=f"retries must be between 0 and {MAX_RETRIES}, got {shown(retries)}"
            )
        backoff_of(self)
        if not _is_int(self.cluster_size) or not 1 <= self.cluster_size <= MAX_KERNELS:
            raise InvalidSpec(
                problem=f"cluster_size must be between 1 and {MAX_KERNELS}, got {shown(self.cluster_size)}"
            )
        if self.not_before is not None and self.not_before.tzinfo is None:
            raise InvalidSpec(
                problem="not_before needs a time zone, such as 2026-11-21T09:00:00+09:00"
            )
        if self.not_before is not None and not _YEARS[0] <= self.not_before.year <= _YEARS[1]:
            raise InvalidSpec(problem=f"not_before is out of range: {self.not_before.isoformat()}")

    def _check_kernels(self) -> None:
        if not self.kernels:
            return
        if not _are_mappings(self.kernels):
            raise InvalidSpec(
                problem='kernels is a list with the slots of each, such as [{"cpu": "4"}, {"cpu": "1"}]'
            )
        if len(self.kernels) > MAX_KERNELS:
            raise InvalidSpec(
                problem=f"{len(self.kernels)} kernels are too many, the limit is {MAX_KERNELS}"
            )
        if self.cluster_size != 1 or self.slots is not DEFAULT_SLOTS:
            raise InvalidSpec(
                problem="give either kernels, each with its slots, or slots and cluster_size"
            )

    def _check_words(self) -> None:
        kinds: dict[str, type[StrEnum]] = {
            "session_type": SessionType,
            "on_lost": OnLost,
        }
        for name, kind in kinds.items():
            if (word := getattr(self, name)) not in list(kind):
                raise InvalidSpec(
                    problem=f"{name} {shown(word)} is unknown; there are {', '.join(kind)}"
                )
        if not is_name(self.cluster_mode):
            raise InvalidSpec(
                problem=f"cluster_mode {shown(self.cluster_mode)} is no name; there are"
                f" {', '.join(ClusterMode)}, and those that plugins add"
            )

    def _check_names(self) -> None:
        if not is_name(self.group):
            raise InvalidSpec(
                problem=f"group {shown(self.group)} is no name: letters, digits, _ and - only, at most 63"
            )
        if len(self.name) > LONGEST_NAME or has_control_characters(self.name):
            raise InvalidSpec(problem="a name has at most 256 characters and no control characters")
        keypair = self.keypair
        if keypair is not None and not _is_word(keypair):
            raise InvalidSpec(problem=f"a keypair has {_WORD}")
        for kind, name in self.scopes.items():
            _check_scope(kind, name)
        self._check_office()
        key = self.idempotency_key
        if key is not None and not _is_word(key):
            raise InvalidSpec(problem=f"an idempotency key has {_WORD}")

    def _check_office(self) -> None:
        office, role = self.scopes.get("office"), self.scopes.get("role")
        if office is not None and not is_name(office):
            raise InvalidSpec(
                problem=f"office {shown(office)} is no name: letters, digits, _ and - only, at most 63"
            )
        if role is not None and (office is None or not _is_role_of(office, role)):
            raise InvalidSpec(
                problem="scope role is OFFICE/ROLE beside the scope office, such as"
                f" office=web role=web/reviewer, got {shown(role)}"
            )
        if office is not None and self.private:
            raise InvalidSpec(problem="a private session counts against no office")

    def _check_dependencies(self) -> None:
        if len(self.depends_on) > MAX_DEPENDENCIES:
            raise InvalidSpec(
                problem=f"{len(self.depends_on)} dependencies are too many, the limit is {MAX_DEPENDENCIES}"
            )
        for parent in edges_of(self.depends_on):
            if not is_session_id(str(parent)):
                raise InvalidSpec(problem=f"dependency {shown(str(parent))} is no session id")


def _is_role_of(office: str, role: str) -> bool:
    name, slash, of_it = role.partition("/")
    return (name, slash) == (office, "/") and is_name(of_it)


def _is_word(text: str) -> bool:
    return 0 < len(text) <= LONGEST_NAME and not has_control_characters(text)


def _check_scope(kind: object, name: object) -> None:
    """One scope a session asks to count against; those it always has are not asked for."""
    if kind in ("global", "private"):
        raise InvalidSpec(problem=f"scope {kind} is not chosen: every session it is for has it")
    if kind == "keypair":
        raise InvalidSpec(problem="scope keypair has a field of its own: keypair")
    if not isinstance(name, str):
        raise InvalidSpec(problem=f"scope {shown(kind)} must have a text as its name")
    parse_scope(str(kind), name)


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


def _are_mappings(values: Sequence[object]) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def constraints_of(spec: SessionSpec) -> Constraints:
    """What a spec says of agents. Raises InvalidSpec."""
    return make_constraints(
        labels=spec.labels,
        preferred_labels=spec.preferred_labels,
        architecture=spec.architecture,
        agents=spec.agents,
        agents_strict=spec.agents_strict,
        endpoint=spec.endpoint,
    )


def check_priority(priority: object) -> None:
    """Refuse another priority for what was submitted, if it is none. Raises InvalidSetting."""
    if why := _no_priority(priority):
        raise InvalidSetting(name="priority", problem=f"it {why}")


def _no_priority(priority: object) -> str:
    if _is_int(priority) and 0 <= priority <= HIGHEST_PRIORITY:  # type: ignore[operator]
        return ""
    return f"must be between 0 and 100, got {shown(priority)}"


def backoff_of(spec: SessionSpec) -> RetryPolicy | None:
    """What a spec says of waits before its retries, or None. Raises InvalidSpec."""
    if spec.backoff is None or isinstance(spec.backoff, RetryPolicy):
        return spec.backoff
    try:
        return policy_from(spec.backoff, RetryPolicy())
    except InvalidSetting as error:
        raise InvalidSpec(problem=f"{error.facts['name']}: {error.facts['problem']}") from None


def silence_ms(spec: SessionSpec) -> int:
    """Without output for so long it is stopped; 0 is never. Raises InvalidSpec."""
    silence = spec.silence_timeout
    return 0 if silence is None else duration_ms(silence, "silence_timeout")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
