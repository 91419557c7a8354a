"""API keys: who may ask what of the HTTP API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import has_control_characters, shown

#: Characters of the name that people give a key.
LONGEST_NAME: Final = 64


class Role(StrEnum):
    """What a key may do; each may do what those before it may."""

    VIEWER = "viewer"  #: read
    SUBMITTER = "submitter"  #: submit jobs, cancel and retry one
    OPERATOR = "operator"  #: steer: priorities, hand-overs, cancel-all, process
    ADMIN = "admin"  #: change the configuration of offices, make and delete them

    def covers(self, needed: Role) -> bool:
        """Whether who has this role may do what needs the other."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is known after it was made: without its secret. Times are ms of Redis' clock."""

    id: str
    role: Role
    office: str = ""  #: the only office it may speak of; "" is all
    name: str = ""  #: for people
    created_at: int = 0
    last_used_at: int | None = None  #: to the minute
    revoked_at: int | None = None
    expires_at: int | None = None  #: refused from then on; None is never

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "role": str(self.role),
            "office": self.office,
            "name": self.name,
            "created_at": self.created_at,
            "last_used_at": self.last_used_at,
            "revoked_at": self.revoked_at,
            "expires_at": self.expires_at,
        }


def check_key_name(name: str) -> str:
    """The name, if a key may have it. Raises InvalidSetting."""
    if len(name) > LONGEST_NAME or has_control_characters(name):
        problem = f"it has at most {LONGEST_NAME} characters and no control characters"
        raise InvalidSetting(name="key name", problem=f"{problem}, got {shown(name)}")
    return name
