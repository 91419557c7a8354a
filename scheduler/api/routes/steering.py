"""Jobs, steered while they live: cancelled, asked to run again, put before others, handed over."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from scheduler.api.answers import answer
from scheduler.api.etags import etag, expected_revision
from scheduler.api.models.common import problems
from scheduler.api.models.jobs import (
    Again,
    Cancelled,
    CancelledAll,
    Handoff,
    Job,
    NewPriority,
    Reason,
    Retried,
)
from scheduler.api.routing import (
    CANCEL_ALL,
    NAME_PATTERN,
    GuardedRoute,
    IfMatch,
    JobId,
    Nothing,
    OfficeId,
    StoreOf,
    needs,
)
from scheduler.bootstrap import Store
from scheduler.domain.api_key import Role
from scheduler.domain.job import job_view, revision_of
from scheduler.domain.states import SessionState
from scheduler.operations.jobs import (
    cancel_all,
    cancel_job,
    handoff,
    job_of,
    retry_job,
    set_priority,
)

router = APIRouter(prefix="/api/offices/{office_id}/jobs", tags=["jobs"], route_class=GuardedRoute)


@router.post(
    f"/{CANCEL_ALL}",
    response_model=CancelledAll,
    responses=problems(404),
    openapi_extra=needs(Role.OPERATOR),
)
def cancel_all_jobs(
    office_id: OfficeId,
    store: StoreOf,
    state: Annotated[SessionState | Nothing, Query(description="Only those in this state.")] = None,
    role: Annotated[
        Annotated[str, Field(pattern=NAME_PATTERN)] | Nothing,
        Query(description="Only those of this role."),
    ] = None,
) -> Response:
    """Cancel all jobs that have not ended; what is submitted meanwhile stays."""
    store.offices.read(office_id)
    return answer({"cancelled": cancel_all(store, office_id, state, role)})


@router.post(
    "/{job_id}/cancel",
    response_model=Cancelled,
    responses={
        **problems(400, 404, 412, 413, 415),
        202: {"model": Cancelled, "description": "It must be stopped first."},
    },
    openapi_extra=needs(Role.SUBMITTER),
)
def cancel(
    office_id: OfficeId,
    job_id: JobId,
    store: StoreOf,
    body: Reason | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Cancel a job; one that ended before stays as it is."""
    expected = _expected(store, office_id, job_id, if_match)
    outcome = cancel_job(store, office_id, job_id, **(body or {}), expected=expected)
    status = HTTPStatus.ACCEPTED if outcome == "accepted" else HTTPStatus.OK
    return answer({"outcome": outcome}, status)


@router.post(
    "/{job_id}/retry",
    response_model=Retried,
    responses=problems(400, 404, 409, 412, 413, 415),
    openapi_extra=needs(Role.SUBMITTER),
)
def retry(
    office_id: OfficeId,
    job_id: JobId,
    store: StoreOf,
    body: Again | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Run a job again that ended badly."""
    expected = _expected(store, office_id, job_id, if_match)
    return answer({"jobs": retry_job(store, office_id, job_id, **(body or {}), expected=expected)})


@router.patch(
    "/{job_id}/priority",
    response_model=Job,
    responses=problems(400, 404, 409, 412, 413, 415),
    openapi_extra=needs(Role.OPERATOR),
)
def change_priority(
    office_id: OfficeId,
    job_id: JobId,
    body: NewPriority,
    store: StoreOf,
    if_match: IfMatch = None,
) -> Response:
    """Another priority: of what waits at once, of what is placed should it wait again."""
    expected = _expected(store, office_id, job_id, if_match)
    set_priority(store, office_id, job_id, body["priority"], expected=expected)
    return _as_it_is(store, office_id, job_id)


@router.post(
    "/{job_id}/handoff",
    response_model=Job,
    responses=problems(400, 404, 409, 412, 413, 415),
    openapi_extra=needs(Role.OPERATOR),
)
def hand_over(
    office_id: OfficeId, job_id: JobId, body: Handoff, store: StoreOf, if_match: IfMatch = None
) -> Response:
    """Give a job that waits, or that may be retried, another role of its office."""
    expected = _expected(store, office_id, job_id, if_match)
    handoff(store, office_id, job_id, body["role"], expected=expected)
    return _as_it_is(store, office_id, job_id)


def _expected(store: Store, office: str, job: str, if_match: str | None) -> str | None:
    """The revision that a change is to meet. Raises SessionNotFound, NotFresh."""
    if if_match is None:
        return None
    return expected_revision(if_match, revision_of(job_of(store, office, job)))


def _as_it_is(store: Store, office: str, job: str) -> Response:
    data = job_of(store, office, job)
    return answer(job_view(data), ETag=etag(revision_of(data)))
