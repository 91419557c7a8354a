"""What the cycles of a group did: marks of the last one, counts of all, how long they took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Tally:
    """Cycles of one group, over all its leaders. A cycle that had nothing to decide is none.

    A kind of request counts as refused each time it is looked at: when it comes, when something happened that
    could have cured it, and by each sweep.
    """

    started_at: int = 0  #: of the last cycle, ms of Redis' clock
    ended_at: int = 0
    trigger: str = ""  #: what made it run, as "ready, reports"
    last_placed: int = 0  #: sessions
    last_refused: int = 0  #: kinds of request
    term: int = 0  #: whose the last one was
    cycles: int = 0
    placed: int = 0
    refused: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)  #: refusals by the rule that refused
    triggers: Mapping[str, int] = field(default_factory=dict)  #: cycles by what made them run
    busy_us: int = 0  #: all cycles took together
    p50_us: int = 0  #: of the last cycles of this term
    p99_us: int = 0

    def as_fields(self) -> list[str]:
        """Name, value, name, value ... of its record."""
        found: list[str] = []
        for each in fields(self):
            value = getattr(self, each.name)
            found += [each.name, value if isinstance(value, str) else json.dumps(value)]
        return found

    @classmethod
    def read(cls, record: Mapping[str, str]) -> Tally:
        """Read a record; what it does not say is nought."""
        found: dict[str, Any] = {
            each.name: text if each.name == "trigger" else json.loads(text)
            for each in fields(cls)
            if (text := record.get(each.name)) is not None
        }
        return cls(**found)
