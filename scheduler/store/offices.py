"""The repository of offices: their configurations, and with them the limits of their scopes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import redis

from scheduler.domain.errors import (
    InvalidSetting,
    OfficeExists,
    OfficeInUse,
    OfficeNotFound,
    OfficeOnRecord,
    OfficeRevisionConflict,
    SessionNotFound,
    WrongState,
)
from scheduler.domain.ids import new_nonce
from scheduler.domain.office import (
    JobSchedulerConfig,
    Office,
    check_office_name,
    config_from,
    config_text,
)
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_SET = Script.load("office/set")
_DELETE = Script.load("office/delete")
_FORGET = Script.load("office/forget")
_EXECUTE = Script.load("session/execute")
_NOTIFY = Script.load("session/notify_failure")


class OfficeRepository:
    """Offices of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def names(self) -> list[str]:
        """All offices."""
        with speaking_to(self._client):
            return sorted(cast("set[str]", self._client.smembers(self._keys.offices())))

    def read(self, name: str) -> Office:
        """An office as it stands. Raises OfficeNotFound, InvalidSetting for a name that is none."""
        config, revision = self._rows([check_office_name(name)])[0]
        if not config:
            raise OfficeNotFound(office=name)
        return _office(name, config, revision)

    def many(self, names: Iterable[str]) -> dict[str, Office]:
        """Those of the named that exist and can be read, in one round trip."""
        wanted = list(dict.fromkeys(names))
        found: dict[str, Office] = {}
        for name, (config, revision) in zip(wanted, self._rows(wanted), strict=True):
            with suppress(InvalidSetting):
                if config:
                    found[name] = _office(name, config, revision)
        return found

    def unreadable(self) -> dict[str, str]:
        """Offices that cannot be read, and why."""
        found: dict[str, str] = {}
        names = self.names()
        for name, (config, revision) in zip(names, self._rows(names), strict=True):
            try:
                _office(name, config or "", revision)
            except InvalidSetting as error:
                found[name] = str(error.facts["problem"])
        return found

    def _rows(self, names: Sequence[str]) -> list[tuple[str | None, str | None]]:
        if not names:
            return []
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(self._keys.office(name), "config", "revision")
            return pipe.execute()

    def create(self, name: str, changes: Mapping[str, Any], *, force: bool = False) -> Office:
        """Make an office; what is not named is as by default. Raises OfficeExists, InvalidSetting.

        With ``force`` one that cannot be read is made anew, and keeps its jobs.
        """
        revision = ""
        if force and check_office_name(name) in self.unreadable():
            [(_, stored)] = self._rows([name])
            revision = stored if stored and stored.isdigit() else "0"
        return self._set(check_office_name(name), config_from(changes), revision)

    def change(self, name: str, changes: Mapping[str, Any], expected: int | None = None) -> Office:
        """Change what is named; the office as it is then, at a new revision if anything is different.

        ``expected`` is the revision that was looked at. Raises OfficeNotFound,
        OfficeRevisionConflict, InvalidSetting.
        """
        while True:
            office = self.read(name)
            if expected is not None and expected != office.revision:
                raise OfficeRevisionConflict(office=name, found=office.revision, expected=expected)
            config = config_from(changes, office.config)
            try:
                return self._set(name, config, str(office.revision))
            except OfficeRevisionConflict:
                # Of a caller who looked at no revision both changes are to hold: once more, on top.
                if expected is not None:
                    raise

    def _set(self, name: str, config: JobSchedulerConfig, revision: str) -> Office:
        with speaking_to(self._client):
            word, number = [
                *_SET(
                    self._client,
                    self._keys.root,
                    office=name,
                    config=config_text(config),
                    roles=config.known_roles,
                    most=config.max_concurrent_jobs,
                    limits=config.max_concurrent_by_role,
                    revision=revision,
                    by=new_nonce(),
                ),
                "0",
            ][:2]
        match word:
            case "exists":
                raise OfficeExists(office=name)
            case "unknown_office":
                raise OfficeNotFound(office=name)
            case "conflict":
                raise OfficeRevisionConflict(office=name, found=number, expected=revision)
            case _:
                return Office(name, config, int(number))

    def delete(self, name: str) -> int:
        """Forget an office of which no job is left, and revoke its API keys; how many those were.

        Raises OfficeNotFound; OfficeInUse while a job is still to end; OfficeOnRecord while ended ones
        are on record.
        """
        with speaking_to(self._client):
            answer = _DELETE(self._client, self._keys.root, office=check_office_name(name))
        if answer[0] == "unknown_office":
            raise OfficeNotFound(office=name)
        if answer[0] == "in_use":
            raise OfficeInUse(office=name, waiting=answer[1], placed=answer[2])
        if answer[0] == "on_record":
            raise OfficeOnRecord(office=name, jobs=answer[1])
        return int(answer[1])

    def forget_jobs(self, name: str, jobs: Sequence[str]) -> list[str]:
        """Forget those of up to 200 jobs of an office that ended and nobody waits for; their ids."""
        with speaking_to(self._client):
            return _FORGET(self._client, self._keys.root, office=name, sessions=list(jobs))[1:]

    def execute(self, job: str) -> str:
        """Hand a job to its leader now; the state it was in. Raises SessionNotFound, WrongState."""
        with speaking_to(self._client):
            word, *rest = _EXECUTE(self._client, self._keys.root, session=job)
        return _stood(job, word, rest, ("execute", "READY, RETRYING"))

    def notify_failure(self, job: str) -> str:
        """Tell again that a job failed; the state it is in. Raises SessionNotFound, WrongState."""
        with speaking_to(self._client):
            word, *rest = _NOTIFY(self._client, self._keys.root, session=job)
        return _stood(job, word, rest, ("notify", "FAILED, TIMED_OUT"))


def _stood(job: str, word: str, rest: Sequence[str], asked: tuple[str, str]) -> str:
    if word == "gone":
        raise SessionNotFound(session=job)
    if word == "wrong_state":
        verb, allowed = asked
        raise WrongState(session=job, state=rest[0], verb=verb, allowed=allowed)
    return rest[0]


def _office(name: str, config: str, revision: str | None) -> Office:
    try:
        found, number = json.loads(config), int(revision or "")
    except (ValueError, RecursionError) as error:
        raise InvalidSetting(
            name=f"office {name}", problem=f"what Redis holds of it makes no sense: {error}"
        ) from error
    return Office(name, config_from(found), number)
