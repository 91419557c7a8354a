"""What a session depends on, and what a parent that did not succeed means for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.ids import shown


class EdgePolicy(StrEnum):
    """What becomes of a session when a parent failed, timed out, was cancelled or is gone."""

    CANCEL = "cancel"  #: it is cancelled, and so all that depends on it, with the reason
    IGNORE = "ignore"  #: the dependency counts as met, however the parent ended
    HOLD = "hold"  #: it stays PENDING until the parent is retried and succeeds, or somebody releases it


def edges_of(depends_on: Iterable[str] | Mapping[str, str]) -> dict[str, EdgePolicy]:
    """Parents with their policies, each once; a list means cancel. Raises InvalidSpec."""
    if not isinstance(depends_on, Mapping):
        return dict.fromkeys(depends_on, EdgePolicy.CANCEL)
    return {str(parent): policy_of(policy) for parent, policy in depends_on.items()}


def policy_of(word: object) -> EdgePolicy:
    """The policy of a word. Raises InvalidSpec."""
    if word not in list(EdgePolicy):
        raise InvalidSpec(
            problem=f"dependency policy {shown(word)} is unknown; there are {', '.join(EdgePolicy)}"
        )
    return EdgePolicy(str(word))


def edge_text(parent: str, policy: EdgePolicy) -> str:
    """A parent as scripts read it: its id, and the policy where it is not cancel."""
    return parent if policy is EdgePolicy.CANCEL else f"{parent} {policy}"
