"""What a key may do."""

from __future__ import annotations

from scheduler.domain.api_key import ApiKey, Role
from scheduler.domain.errors import NotAllowed


def check_allowed(key: ApiKey, needed: Role, office: str = "") -> None:
    """Refuse what needs a higher role, or another office. Raises NotAllowed.

    ``office`` is the one that is spoken of; "" is none in particular, which a key of one office may
    not do. Of another office nothing is told, not even whether there is one: nobody has looked yet.
    """
    if key.office and key.office != office:
        raise NotAllowed(why=f"API key {key.id} is for office {key.office} only")
    if not key.role.covers(needed):
        raise NotAllowed(why=f"this needs the role {needed}, API key {key.id} has {key.role}")
