"""In which order slots are compared: by family, so that ``cuda.shares`` stands where ``cuda`` does."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_FAMILY = re.compile(r"[a-z][a-z0-9_]{0,30}")


def _families(names: tuple[str, ...]) -> tuple[str, ...]:
    found = dict.fromkeys(name.partition(".")[0] for name in names)
    for family in found:
        if not _FAMILY.fullmatch(family):
            raise ValueError(f"{family!r} is no slot; write cuda, cpu, mem or disk")
    return tuple(found)


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
