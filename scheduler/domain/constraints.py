"""Which agents a session may run on, and which it would rather run on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.ids import has_control_characters, is_name, shown
from scheduler.domain.scope import LONGEST_NAME

MOST_LABELS = 64
MOST_AGENTS = 1_000
#: Between the values of which a label may have any.
OR = "|"
#: A label whose name ends so asks for the model of a family's devices, not for a label of the agent.
MODEL = ".model"

_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

#: Name and accepted values, both sorted: equal wishes are equal values, however they were written.
Labels = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """What agents must be, and should be, whatever they have free."""

    labels: Labels = ()
    preferred_labels: Labels = ()
    architecture: str = ""
    agents: tuple[str, ...] = ()  #: designated
    agents_strict: bool = True  #: False: designated agents are preferred, others are taken, too
    endpoint: str = ""  #: the service whose replicas may be spread

    @cached_property
    def models(self) -> Mapping[str, frozenset[str]]:
        """The accepted models by device family."""
        return {
            name.removesuffix(MODEL): frozenset(values)
            for name, values in self.labels
            if name.endswith(MODEL)
        }

    @cached_property
    def filters(self) -> bool:
        """Whether agents are told apart at all; an endpoint alone excludes and prefers none."""
        return bool(self.labels or self.preferred_labels or self.architecture or self.agents)

    @cached_property
    def prefers(self) -> bool:
        """Whether some of the admitted agents are better than others."""
        return bool(self.preferred_labels or (self.agents and not self.agents_strict))

    def as_json(self) -> dict[str, Any]:
        """What is not as usual, for the request's text; {} for none."""
        found: dict[str, Any] = {}
        for name in ("labels", "preferred_labels"):
            if labels := getattr(self, name):
                found[name] = {label: OR.join(values) for label, values in labels}
        if self.architecture:
            found["architecture"] = self.architecture
        if self.agents:
            found["agents"] = list(self.agents)
            found["agents_strict"] = self.agents_strict
        if self.endpoint:
            found["endpoint"] = self.endpoint
        return found

    def says(self) -> str:
        """For people."""
        told = [f"label {name}={OR.join(values)}" for name, values in self.labels]
        told += [f"rather label {n}={OR.join(values)}" for n, values in self.preferred_labels]
        if self.architecture:
            told.append(f"architecture {self.architecture}")
        if self.agents:
            told.append(("only " if self.agents_strict else "rather ") + " or ".join(self.agents))
        if self.endpoint:
            told.append(f"endpoint {self.endpoint}")
        return ", ".join(told)


ANYWHERE = Constraints()


def read_constraints(found: Mapping[str, Any] | None) -> Constraints:
    """Read what ``as_json`` wrote."""
    if not found:
        return ANYWHERE
    return Constraints(
        labels=_canonical(found.get("labels", {})),
        preferred_labels=_canonical(found.get("preferred_labels", {})),
        architecture=found.get("architecture", ""),
        agents=tuple(found.get("agents", ())),
        agents_strict=found.get("agents_strict", True),
        endpoint=found.get("endpoint", ""),
    )


def make_constraints(  # noqa: PLR0913 - the words of a session that are about agents
    *,
    labels: Mapping[str, str],
    preferred_labels: Mapping[str, str],
    architecture: str,
    agents: Sequence[str],
    agents_strict: bool,
    endpoint: str,
) -> Constraints:
    """Check and put in order what a person asked for. Raises InvalidSpec."""
    if not (labels or preferred_labels or architecture or agents or endpoint):
        return ANYWHERE
    for name, given in (("labels", labels), ("preferred_labels", preferred_labels)):
        _check_labels(name, given)
    _check_architecture(architecture)
    _check_agents(agents)
    if endpoint and not _is_plain(endpoint):
        raise InvalidSpec(
            problem="an endpoint has at most 256 characters and no control characters"
        )
    return Constraints(
        labels=_canonical(labels),
        preferred_labels=_canonical(preferred_labels),
        architecture=architecture,
        agents=tuple(sorted(set(agents))),
        agents_strict=bool(agents_strict or not agents),
        endpoint=endpoint,
    )


def in_architecture(constraints: Constraints, architecture: object) -> Constraints:
    """The same for one architecture, "" for any. Raises InvalidSpec for what is none."""
    if architecture == constraints.architecture:
        return constraints
    _check_architecture(architecture)
    return replace(constraints, architecture=str(architecture))


def _check_architecture(architecture: object) -> None:
    if architecture == "":
        return
    if not (isinstance(architecture, str) and _ARCHITECTURE.fullmatch(architecture)):
        raise InvalidSpec(
            problem=f"architecture {shown(architecture)} is none; write x86_64 or aarch64, as `uname -m` says"
        )


def _check_labels(what: str, given: Mapping[str, str]) -> None:
    if len(given) > MOST_LABELS:
        raise InvalidSpec(
            problem=f'{what} is a mapping of at most {MOST_LABELS}, such as {{"zone": "a"}}'
        )
    for name, value in given.items():
        if not (_is_plain(name) and _is_plain(value)):
            raise InvalidSpec(
                problem=f"label {shown(name)}={shown(value)} needs a name and a value, each of"
                " 1 to 256 characters and no control characters"
            )
        if not all(value.split(OR)):
            raise InvalidSpec(
                problem=f"label {name}={shown(value)} accepts an empty value; write a{OR}b for a or b"
            )


def _check_agents(agents: Sequence[str]) -> None:
    if len(agents) > MOST_AGENTS:
        raise InvalidSpec(problem=f'agents is a list of at most {MOST_AGENTS} ids, such as ["a1"]')
    for agent in agents:
        if not (_is_text(agent) and is_name(agent)):
            raise InvalidSpec(
                problem=f"agent {shown(agent)} is no name: letters, digits, _ and - only, at most 63"
            )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_plain(value: object) -> bool:
    """Whether it is a text that people can read, and not an empty one."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_NAME
        and not has_control_characters(value)
    )


def _canonical(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, tuple(sorted({*text.split(OR)}))) for name, text in labels.items()))
