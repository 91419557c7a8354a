"""Jobs: submitted, listed, read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from scheduler.api.answers import answer, execution_view, tagged
from scheduler.api.etags import etag
from scheduler.api.forms import form
from scheduler.api.models.common import NOT_MODIFIED, PRINTABLE, problems
from scheduler.api.models.jobs import (
    ExecutionList,
    JobList,
    JobWithResult,
    Submission,
    Submitted,
)
from scheduler.api.routing import (
    NAME_PATTERN,
    GuardedRoute,
    IfNoneMatch,
    JobId,
    KeyOf,
    Nothing,
    OfficeId,
    StoreOf,
    needs,
)
from scheduler.api.streams import Stream, Streams, TextStream
from scheduler.domain.api_key import Role
from scheduler.domain.graph import graph_from
from scheduler.domain.job import LATEST_MS, Period, job_view, revision_of
from scheduler.domain.scope import LONGEST_NAME
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import PLACED, SessionState
from scheduler.domain.wanted import Wanted
from scheduler.operations.following import LogFollower
from scheduler.operations.graphs import submit_graph
from scheduler.operations.jobs import CURSOR, executions, job_of, list_jobs
from scheduler.operations.offices import submit_jobs
from scheduler.store.logs import LogLine

router = APIRouter(prefix="/api/offices/{office_id}/jobs", tags=["jobs"], route_class=GuardedRoute)

LARGEST_PAGE = 500
PLACE: Final = form(CURSOR, "it is not one that a page of jobs ended with")
KEY: Final = form("^[!-~]{1,128}$", "it must have 1 to 128 characters of ASCII, without spaces")
Moment = Annotated[int, Field(ge=0, le=LATEST_MS, examples=[1764151200000])]
TEXT = "text/plain; charset=utf-8"

EXAMPLES = Body(
    openapi_examples={
        "command": {"value": {"command": ["python3", "train.py"], "role": "dev", "priority": 50}},
        "callable": {"value": {"callable": "package.module:run", "args": [1], "timeout": "10m"}},
        "graph": {
            "value": {
                "name": "release",
                "jobs": [
                    {"name": "build", "command": ["make"]},
                    {"name": "test", "command": ["make", "test"], "needs": ["build"]},
                ],
            }
        },
    }
)

IdempotencyKey = Annotated[
    Annotated[str, Field(pattern=KEY)] | Nothing,
    Header(
        description="A repeat with this key answers what the first made; of another body it is 409.",
        examples=["order-4711"],
    ),
]


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=Submitted,
    responses=problems(400, 404, 409, 413, 415),
    openapi_extra=needs(Role.SUBMITTER),
)
def submit(
    office_id: OfficeId,
    body: Annotated[Submission, EXAMPLES],
    store: StoreOf,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit one job, or a graph of jobs: all or none of them. They depend on jobs of the office only."""
    if "jobs" in body:
        # As of single jobs: of another office the same key is another.
        key = f"{office_id}/{idempotency_key}" if idempotency_key else None
        graph = graph_from({**body, "office": office_id, "idempotency_key": key})
        made = submit_graph(store, graph)
        told = {"id": None, "graph": made.id, "jobs": made.jobs}
        where = f"/api/offices/{office_id}/graphs/{made.id}"
        return answer(told, HTTPStatus.CREATED, Location=where)
    asked: dict[str, Any] = dict(body)
    role = asked.pop("role", "")
    spec = SessionSpec(**asked, idempotency_key=idempotency_key)
    (job,) = submit_jobs(store, office_id, [spec], role=role, apart=True)
    where = f"/api/offices/{office_id}/jobs/{job}"
    return answer({"id": job, "graph": None, "jobs": 1}, HTTPStatus.CREATED, Location=where)


@router.get("", response_model=JobList, responses=problems(404), openapi_extra=needs(Role.VIEWER))
def list_(  # noqa: PLR0913 - what a page may be asked by
    office_id: OfficeId,
    store: StoreOf,
    state: SessionState | Nothing = None,
    role: Annotated[Annotated[str, Field(pattern=NAME_PATTERN)] | Nothing, Query()] = None,
    submitted_after: Annotated[
        Moment | Nothing, Query(description="Or just then; ms of Redis' clock, as jobs show it.")
    ] = None,
    submitted_before: Annotated[
        Moment | Nothing, Query(description="And not just then; later than submitted_after.")
    ] = None,
    name: Annotated[
        Annotated[str, Field(pattern=PRINTABLE, min_length=1, max_length=LONGEST_NAME)] | Nothing,
        Query(
            description="Jobs of this name; or a pattern, for which a page looks at 10,000 at most.",
            examples=["train-*"],
        ),
    ] = None,
    agent: Annotated[
        Annotated[str, Field(pattern=NAME_PATTERN)] | Nothing,
        Query(description="Jobs with a kernel on this agent now."),
    ] = None,
    cursor: Annotated[
        Annotated[str, Field(pattern=PLACE)] | Nothing,
        Query(description="As the page before ended with.", examples=["712"]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
) -> Response:
    """A page of the office's jobs, the last submitted first, of one state, role, time, name and agent if asked.

    Another page may follow one that is short, or empty: where there is a cursor, it does.
    """
    store.offices.read(office_id)
    if agent is not None and state is not None and state not in PLACED:
        # On an agent is no such job: a document cannot say which parameters go together, so none is refused.
        return answer({"items": [], "cursor": None})
    submitted, wanted = Period.of(submitted_after, submitted_before), Wanted.of(name, agent)
    page = list_jobs(store, office_id, state, role, cursor, limit, submitted, wanted)
    return answer({"items": [job_view(data) for data in page.items], "cursor": page.cursor})


@router.get(
    "/{job_id}",
    response_model=JobWithResult,
    responses=problems(404) | NOT_MODIFIED,
    openapi_extra=needs(Role.VIEWER),
)
def show(
    office_id: OfficeId, job_id: JobId, store: StoreOf, if_none_match: IfNoneMatch = None
) -> Response:
    """A job as it stands, and what its callable returned."""
    data = job_of(store, office_id, job_id)
    view = job_view(data)
    result = store.sessions.result(job_id) if data.state is SessionState.SUCCEEDED else None
    return tagged({**view, "result": result}, etag(revision_of(data)), if_none_match)


@router.get(
    "/{job_id}/executions",
    response_model=ExecutionList,
    responses=problems(404),
    openapi_extra=needs(Role.VIEWER),
)
def show_executions(office_id: OfficeId, job_id: JobId, store: StoreOf) -> Response:
    """The tries to run a job, oldest first."""
    found = executions(store, office_id, job_id)
    return answer({"items": [execution_view(execution) for execution in found]})


@router.get(
    "/{job_id}/logs",
    response_class=PlainTextResponse,
    responses=problems(404),
    openapi_extra=needs(Role.VIEWER),
)
async def show_logs(  # noqa: PLR0913 - what may be asked of a log
    request: Request,
    office_id: OfficeId,
    job_id: JobId,
    store: StoreOf,
    key: KeyOf,
    kernel: Annotated[int, Query(ge=0, le=1_000)] = 0,
    attempt: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000)] | Nothing,
        Query(description="The last by default; not with follow."),
    ] = None,
    *,
    follow: Annotated[
        bool, Query(description="Stream what comes, over all further attempts, until the job ends.")
    ] = False,
) -> Response:
    """What a job's kernel has printed."""
    streams: Streams = request.app.state.streams
    data = await run_in_threadpool(job_of, store, office_id, job_id)
    if not follow:
        lines = await run_in_threadpool(store.logs.read, data, attempt, kernel)
        return PlainTextResponse(_text(lines))
    with streams.taken(key) as stream:
        # What can be refused is refused before the answer has begun.
        follower = await streams.call(lambda: LogFollower(store, job_id, kernel))
        first = await streams.call(follower.look)
        text = _follow(streams, stream, follower, first)
        return stream.answered(TextStream(text, media_type=TEXT))


async def _follow(
    streams: Streams, stream: Stream, follower: LogFollower, first: Sequence[LogLine]
) -> AsyncIterator[bytes]:
    """Pieces as they come. Who reads learns of an outage, or a key taken back, by an answer that is cut off."""
    yield _text(first)
    while not (follower.over or streams.stopping):
        lines = await streams.call(follower.look)
        await stream.check()
        if lines:
            yield _text(lines)


def _text(lines: Sequence[LogLine]) -> bytes:
    # Half a character that a kernel printed is no reason to keep the rest from anybody.
    return "".join(line.text for line in lines).encode(errors="replace")
