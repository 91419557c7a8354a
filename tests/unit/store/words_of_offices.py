"""What makes the scripts of offices answer each of their words; see words.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from scheduler.domain.errors import SchedulerError
from scheduler.domain.office import JobSchedulerConfig, office_scopes
from tests.unit.store.lives import NOBODY, S, World


def without_office(world: World, office: str) -> None:
    """As a hand leaves it that takes an office away from its jobs."""
    world.client.hdel(world.keys.office(office), "config")


def _retry_without_office(world: World) -> None:
    world.office()
    ended = world.into(S.FAILED, scopes={"office": "o"})
    without_office(world, "o")
    world.sessions.retry(ended)


def _delete(world: World) -> None:
    world.office()
    world.offices.delete("o")


def _change_beside(world: World) -> None:
    """Somebody changes the office between another's look and write."""
    before = world.office()
    world.offices.change("o", {"max_retries": 1})
    with suppress(SchedulerError):
        world.offices._set("o", before.config, "1")


def _delete_in_use(world: World) -> None:
    world.office()
    world.submit(scopes={"office": "o"})
    world.offices.delete("o")


def _delete_on_record(world: World) -> None:
    world.office()
    world.into(S.FAILED, scopes={"office": "o"})
    world.offices.delete("o")


def _forget(world: World) -> None:
    world.office()
    ended = world.into(S.FAILED, scopes={"office": "o"})
    world.offices.forget_jobs("o", [ended])


OFFICES: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("session/submit", "unknown_office"): lambda w: w.submit(scopes={"office": "o"}),
    ("session/submit", "unknown_role"): lambda w: (
        w.office(),
        w.submit(scopes=office_scopes("o", "b")),
    ),
    ("session/retry", "unknown_office"): _retry_without_office,
    ("session/execute", "accepted"): lambda w: w.offices.execute(w.into(S.RETRYING)),
    ("session/execute", "wrong_state"): lambda w: w.offices.execute(w.into(S.RUNNING)),
    ("session/execute", "gone"): lambda w: w.offices.execute(NOBODY),
    ("session/notify_failure", "told"): lambda w: w.offices.notify_failure(w.into(S.FAILED)),
    ("session/notify_failure", "wrong_state"): lambda w: w.offices.notify_failure(
        w.into(S.CANCELLED)
    ),
    ("session/notify_failure", "gone"): lambda w: w.offices.notify_failure(NOBODY),
    ("office/set", "created"): lambda w: w.office(),
    ("office/set", "changed"): lambda w: (w.office(), w.offices.change("o", {"roles": ["b"]})),
    ("office/set", "unchanged"): lambda w: (w.office(), w.offices.change("o", {})),
    ("office/set", "exists"): lambda w: (w.office(), w.office()),
    ("office/set", "unknown_office"): lambda w: w.offices._set("o", JobSchedulerConfig(), "1"),
    ("office/set", "conflict"): _change_beside,
    ("office/delete", "deleted"): _delete,
    ("office/delete", "in_use"): _delete_in_use,
    ("office/delete", "on_record"): _delete_on_record,
    ("office/forget", "forgotten"): _forget,
    ("office/delete", "unknown_office"): lambda w: w.offices.delete("o"),
}
