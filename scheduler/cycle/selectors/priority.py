"""In which order slots are compared: by family, so that ``cuda.shares`` stands where ``cuda`` does."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from scheduler.domain.slots import family_of


def _families(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(family_of, names)))


#: Names of slots or families, as given; read as families, each once.
SlotPriority = Annotated[tuple[str, ...], AfterValidator(_families)]


def in_order(families: tuple[str, ...], configured: tuple[str, ...]) -> tuple[str, ...]:
    """The configured ones first, in that order; the others after them, as they are."""
    if not configured:
        return families
    return tuple(
        [family for family in configured if family in families]
        + [family for family in families if family not in configured]
    )
