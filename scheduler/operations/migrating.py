"""The layout of a namespace's data: what there is, what would be done, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import redis

from scheduler.domain.errors import SchemaTooNew
from scheduler.store.audit import AuditRepository
from scheduler.store.job_index import JobIndex
from scheduler.store.keys import Keys
from scheduler.store.migration import STEPS, Means, Step, bring_up_to_date
from scheduler.store.schema import VERSION, check_server


class Store(Protocol):
    """Where the data is."""

    @property
    def client(self) -> redis.Redis: ...
    @property
    def keys(self) -> Keys: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What brings data up to date; nothing was written for it."""

    found: int | None  #: the layout of the data; None where no replica has ever run
    target: int
    steps: Sequence[Step]
    sessions: int  #: to be looked at
    misplaced: int  #: jobs that are not listed where they belong, or listed where they do not


def plan_migration(store: Store) -> Plan:
    """Look at everything, and write nothing. Raises SchemaTooNew, StoreUnavailable."""
    found = AuditRepository(store.client, store.keys).schema_version()
    if found is not None and found > VERSION:
        raise SchemaTooNew(namespace=store.keys.root, found=found, known=VERSION)
    index = JobIndex(store.client, store.keys)
    return Plan(
        found=found,
        target=VERSION,
        steps=[step for step in STEPS if found is not None and found <= step.found],
        sessions=index.sessions(),
        misplaced=len({each.session for page in index.look() for each in page.misplaced}),
    )


def migrate(store: Store, tell: Callable[[int, int], object]) -> None:
    """Bring data up to date, or list every job where it belongs in data that is.

    ``tell`` hears how many sessions were looked at, of how many. A replica does the first by itself
    when it starts; the second mends what an older program wrote since. May be broken off and
    repeated. Raises SchemaTooNew, MigrationRefused, RedisUnsuitable, RedisRefuses, StoreUnavailable.
    """
    check_server(store.client)
    found = AuditRepository(store.client, store.keys).schema_version()
    if found is not None and found > VERSION:
        raise SchemaTooNew(namespace=store.keys.root, found=found, known=VERSION)
    if found is not None and found < VERSION:
        bring_up_to_date(store.client, store.keys, (found, VERSION), Means(tell=tell))
        return
    index, done = JobIndex(store.client, store.keys), 0
    total = index.sessions()
    for page in index.look():
        index.put_right(page.misplaced, VERSION, guarded=False)
        done += page.sessions
        tell(done, total)
