"""What an office does with its jobs, and what must hold of their lists; a part of the store's machine."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from scheduler.domain.errors import PendingLimitReached, WrongState
from scheduler.domain.office import office_scopes
from scheduler.operations.jobs import handoff
from scheduler.store.keys import Keys
from tests.properties.store_model import WAITING, Model, S
from tests.unit.store.lives import GROUP, World

ROLES = ("builder", "tester")
LISTS = ("acme", "globex", *(f"{o}/{r}" for o in ("acme", "globex") for r in ROLES))
picks = st.integers(0, 2**16)


def named_job(job: str) -> dict[str, str]:
    office, _, role = job.partition("/")
    return office_scopes(office, role) if office else {}


class JobRules:
    """Rules and invariants."""

    client: Any
    keys: Keys
    model: Model
    world: World

    def _one(self, pick: int, states: set[S] | None = None) -> str:
        raise NotImplementedError

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks, priority=st.integers(0, 100))
    def set_priority(self, pick: int, priority: int) -> None:
        session = self._one(pick, WAITING)
        expected = self.model.set_priority(session, priority)
        try:
            self.world.sessions.set_priority(session, priority)
            assert expected
        except WrongState:
            assert not expected

    @precondition(lambda self: any(s.job for s in self.model.sessions.values()))
    @rule(pick=picks, role=st.sampled_from(ROLES))
    def hand_over(self, pick: int, role: str) -> None:
        jobs = sorted(id_ for id_, s in self.model.sessions.items() if s.job)
        job = jobs[pick % len(jobs)]
        office, expected = (
            self.model.sessions[job].job.partition("/")[0],
            self.model.hand_over(job, role),
        )
        try:
            handoff(self.world, office, job, role)
            assert expected
        except (WrongState, PendingLimitReached):
            assert not expected
        self.model.sessions[job].request = self.world.get(job).request.id

    @invariant()
    def lists_of_jobs_are_exact(self) -> None:
        for list_ in LISTS:
            office, _, role = list_.partition("/")
            for state in S:
                found = self.world.jobs.newest(office, role, [state], None, 1000)

                assert self.model.jobs(list_, state) == {job for job, _ in found}, (list_, state)
                assert sorted(found, key=lambda job: -job[1]) == found
        pattern = f"{self.keys.root}:office:*:jobs:*"
        kept = {(list_, state) for list_ in LISTS for state in S if self.model.jobs(list_, state)}
        assert len(kept) == len(list(self.client.scan_iter(pattern, count=1000)))

    @invariant()
    def the_queue_is_by_priority_then_age(self) -> None:
        assert self.model.queue() == self.world.sessions.list_ids(GROUP, S.READY, limit=1000)
