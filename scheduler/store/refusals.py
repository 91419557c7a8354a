"""What a script says that writes none of a batch of new sessions, as errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import redis

from scheduler.domain.errors import (
    DependencyNotFound,
    GroupNotFound,
    IdempotencyConflict,
    OfficeNotFound,
    RedisFull,
    SchedulerError,
    Unsatisfiable,
)
from scheduler.domain.office import check_role
from scheduler.store.keys import Keys
from scheduler.store.offices import OfficeRepository
from scheduler.store.scopes import over_pending
from scheduler.store.submission import Checked


def refused(
    client: redis.Redis, keys: Keys, batch: Sequence[Checked], answer: Sequence[Any]
) -> SchedulerError:
    """What a script says that wrote none of a batch of new sessions."""
    word, *rest = answer
    match word:
        case "unknown_office" | "unknown_role":
            error = _refused_office(client, keys, *rest)
        case "unknown_group":
            error = GroupNotFound(group=rest[0], known=known_groups(client, keys))
        case "conflict":
            error = IdempotencyConflict(key=rest[0], session=rest[1])
        case "no_parent":
            error = DependencyNotFound(session=rest[0])
        case "unsatisfiable":
            asks = {each.request.id: each.request.asks for each in batch}
            error = Unsatisfiable(need=asks[rest[0]], group=rest[1])
        case "full":
            error = RedisFull(used_percent=rest[0])
        case _:  # over_pending: the loader of scripts admits no other word
            families = {each.request.id: each.request.families for each in batch}
            error = over_pending(rest, families[rest[0]])
    return error


def is_about(answer: Sequence[Any], each: Checked) -> bool:
    """Whether a refusal may be about one of the sessions that were to be written."""
    word, *rest = answer
    match word:
        case "unsatisfiable" | "over_pending":
            return bool(each.request.id == rest[0])
        case "unknown_office" | "unknown_role":
            return [each.request.office, each.request.role][: len(rest)] == rest
        case "no_parent":
            return rest[0] in each.parents
        case _:
            return False


def known_groups(client: redis.Redis, keys: Keys) -> str:
    """The names of the scaling groups, for a sentence."""
    return ", ".join(sorted(cast("set[str]", client.smembers(keys.groups())))) or "none"


def _refused_office(client: redis.Redis, keys: Keys, office: str, role: str = "") -> SchedulerError:
    """That there is no such office, or that it has no such role."""
    try:
        check_role(OfficeRepository(client, keys).read(office), role)
    except SchedulerError as error:
        return error
    return OfficeNotFound(office=office)
