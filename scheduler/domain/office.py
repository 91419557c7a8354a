"""Offices: tenants whose jobs are sessions with limits, retries and timeouts of their office.

An office is a scope of kind ``office`` with a configuration; a role is a scope inside it, named
``office/role``, so that two offices may have a role of one name. The defaults are those of seed 002.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from scheduler.domain.checks import known, mapping, whole, wrong
from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.ids import is_name, shown
from scheduler.domain.retry import RetryPolicy, policy_from
from scheduler.domain.scope import Scope
from scheduler.domain.slots import LARGEST
from scheduler.domain.spec import MAX_RETRIES

#: A change of an office is one step, which sets the limits of all its roles.
MAX_ROLES: Final = 100
_NAME: Final = "letters, digits, _ and - only, at most 63"
#: A hundred years, as for any duration.
_LONGEST_MS: Final = 100 * 365 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSchedulerConfig:
    """What an office allows its jobs, and what they get where they do not say. Times in ms."""

    max_concurrent_jobs: int = 3
    max_concurrent_by_role: Mapping[str, int] = field(default_factory=dict)
    max_retries: int = 2
    backoff: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_ms: int = 30 * 60_000
    timeout_ms_by_role: Mapping[str, int] = field(default_factory=dict)
    #: Further roles, which have neither a limit nor a timeout of their own.
    roles: tuple[str, ...] = ()

    @property
    def known_roles(self) -> tuple[str, ...]:
        """All roles a job of the office may have, by name."""
        named = {*self.max_concurrent_by_role, *self.timeout_ms_by_role, *self.roles}
        return tuple(sorted(named))

    def timeout_of(self, role: str) -> int:
        """How long a job of this role ("" is none) may run, ms."""
        return self.timeout_ms_by_role.get(role, self.timeout_ms)


@dataclass(frozen=True, slots=True)
class Office:
    """An office as it stands."""

    name: str
    config: JobSchedulerConfig
    revision: int


def office_scopes(office: str, role: str = "") -> dict[str, str]:
    """The scopes of a job, as `SessionSpec.scopes` takes them."""
    return {"office": office} | ({"role": f"{office}/{role}"} if role else {})


def office_and_role(scopes: Iterable[Scope]) -> tuple[str, str]:
    """Whose job a session is, from its scopes; ("", "") for one that is nobody's, a role of "" for none."""
    named = dict(scopes)
    office = named.get("office", "")
    return office, named.get("role", "").removeprefix(f"{office}/") if office else ""


def limit_command(scope: Scope) -> str:
    """How a person changes how many sessions may hold a scope at once."""
    office, _, role = scope.name.partition("/")
    if scope.kind == "office":
        return f"scheduler office set {office} --max-concurrent-jobs N"
    if scope.kind == "role":
        return f"scheduler office set {office} --role-limit {role}=N"
    return f"scheduler scope set {scope.kind} {scope.name} --max-sessions N"


def check_office_name(name: str) -> str:
    """The name, if it may name an office. Raises InvalidSetting."""
    if not is_name(name):
        raise InvalidSetting(name="office", problem=f"{shown(name)} is no name: {_NAME}")
    return name


def check_role(office: Office, role: str) -> None:
    """Refuse a job of a role the office does not know ("" is none). Raises InvalidSpec."""
    if why := _unknown(office, role):
        raise InvalidSpec(problem=why)


def check_known(office: Office, role: str) -> None:
    """The same where nothing is submitted. Raises InvalidSetting."""
    if why := _unknown(office, role):
        raise InvalidSetting(name="role", problem=why)


def _unknown(office: Office, role: str) -> str:
    if not role or role in office.config.known_roles:
        return ""
    roles = ", ".join(office.config.known_roles) or "none"
    return f"office {office.name} has no role {shown(role)}; its roles are: {roles}"


def config_from(
    found: Mapping[str, Any], base: JobSchedulerConfig | None = None
) -> JobSchedulerConfig:
    """A configuration from JSON; what is not named stays as in ``base``. Raises InvalidSetting.

    Nothing is converted: a number in quotes is a mistake of whoever wrote it. ``backoff`` may name
    some of its fields, too; the mappings by role replace the ones before.
    """
    base = base or JobSchedulerConfig()
    values = as_json(base)
    known("config", mapping("config", found), values)
    values |= found
    config = JobSchedulerConfig(
        max_concurrent_jobs=whole("max_concurrent_jobs", values["max_concurrent_jobs"], 0, LARGEST),
        max_concurrent_by_role=_by_role("max_concurrent_by_role", values, 0, LARGEST),
        max_retries=whole("max_retries", values["max_retries"], 0, MAX_RETRIES),
        backoff=policy_from(found.get("backoff", {}), base.backoff),
        timeout_ms=whole("timeout_ms", values["timeout_ms"], 1, _LONGEST_MS),
        timeout_ms_by_role=_by_role("timeout_ms_by_role", values, 1, _LONGEST_MS),
        roles=_roles(values["roles"]),
    )
    if len(config.known_roles) > MAX_ROLES:
        raise wrong(
            "roles", f"an office has at most {MAX_ROLES}, these are {len(config.known_roles)}"
        )
    return config


def as_json(config: JobSchedulerConfig) -> dict[str, Any]:
    """The configuration as people and Redis see it; `config_from` reads it back."""
    values = asdict(config)
    values["roles"] = list(config.roles)
    return values | {"backoff": config.backoff.as_json()}


def config_text(config: JobSchedulerConfig) -> str:
    """The configuration as it is stored."""
    return json.dumps(as_json(config), separators=(",", ":"), sort_keys=True)


def _by_role(name: str, values: Mapping[str, Any], least: int, most: int) -> dict[str, int]:
    found = mapping(name, values[name])
    return {
        _role(name, role): whole(f"{name}.{role}", value, least, most)
        for role, value in sorted(found.items())
    }


def _roles(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise wrong("roles", f"it must be a list of names, got {shown(value)}")
    return tuple(dict.fromkeys(_role("roles", role) for role in value))


def _role(name: str, role: object) -> str:
    if not isinstance(role, str) or not is_name(role):
        raise wrong(name, f"role {shown(role)} is no name: {_NAME}")
    return role
