"""Whether the API is alive, and whether it can serve: Redis answers, and holds data of this layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from scheduler.bootstrap import Store
from scheduler.domain.errors import SchedulerError
from scheduler.observability.serving import health_facts
from scheduler.store import schema

#: A look at Redis that takes longer has failed, s.
LOOK_S: Final = 1.0


def health_of(store: Store, streams: Callable[[], int]) -> Callable[[], Mapping[str, Any]]:
    """What ``/health`` tells, asked anew each time, on a client that does not wait long."""

    def health() -> Mapping[str, Any]:
        why = ""
        try:
            check_server(store)
        except SchedulerError as error:
            why = str(error)
        return health_facts("api", why, streams=streams())

    return health


def check_server(store: Store) -> None:
    """Refuse a Redis that cannot hold our data, or holds data of another layout.

    Raises StoreUnavailable, RedisUnsuitable, RedisRefuses, SchemaTooNew, SchemaTooOld.
    """
    schema.check_server(store.client)
    schema.check_version(store.client, store.keys)
