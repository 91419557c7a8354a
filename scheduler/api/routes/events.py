"""What happens, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

import anyio
import orjson
from fastapi import APIRouter, Header, Query, Request
from pydantic import Field
from sse_starlette import ServerSentEvent

from scheduler.api.errors import EventsGone
from scheduler.api.forms import form
from scheduler.api.models.common import problems
from scheduler.api.routing import NAME_PATTERN, GuardedRoute, KeyOf, Nothing, StoreOf, filters
from scheduler.api.streams import EventStream, Stream, Streams
from scheduler.api.watching import Watch
from scheduler.auth.permissions import check_allowed
from scheduler.domain.api_key import Role
from scheduler.domain.errors import KeyRefused, StoreUnavailable
from scheduler.domain.subscriber import ALL_EVENTS, check_patterns

router = APIRouter(prefix="/api/events", tags=["events"], route_class=GuardedRoute)

EVENT_ID: Final = form(
    "^[0-9]{1,18}-[0-9]{1,18}$", "it is no id of an event, which is two numbers as 1764151200000-17"
)
#: How often a stream on which nothing happens says that it is alive, s.
PING_S: Final = 15
#: How long a stream may take to end when the process does, s; less than all requests may.
END_S: Final = 3
#: What a stream ends with where events between were trimmed away while it was read.
GAP: Final = "gap"
#: What it ends with where the reader's key is no longer good; without an id, as nothing more was told.
REFUSED: Final = "refused"


@router.get(
    "",
    response_class=EventStream,
    responses={
        **problems(410),
        200: {
            "description": "Events in order, until the reader leaves.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": "id: 1764151200000-17\nevent: session.running\n"
                    'data: {"id":"1764151200000-17","name":"session.running","fields":{}}\n\n',
                }
            },
        },
    },
    openapi_extra=filters(Role.VIEWER),
)
async def follow_events(  # noqa: PLR0913 - what may be asked of the stream
    request: Request,
    store: StoreOf,
    key: KeyOf,
    events: Annotated[
        Annotated[list[str], Field(max_length=50)] | Nothing,
        Query(
            description="Names or patterns as session.* or job_failed; repeated, any of them.",
            examples=[["job_*"]],
        ),
    ] = None,
    office: Annotated[
        Annotated[str, Field(pattern=NAME_PATTERN)] | Nothing,
        Query(description="Only what is of this office."),
    ] = None,
    since: Annotated[
        Annotated[str, Field(pattern=EVENT_ID)] | Nothing,
        Query(description="The same as Last-Event-ID, for the first time."),
    ] = None,
    last_event_id: Annotated[
        str | Nothing,
        Header(description="Go on after this event; from now on without it."),
    ] = None,
) -> EventStream:
    """What happens, in order, without a gap: each event once for whoever sends its last id again.

    410 where events after that id are no longer kept. The key of an office sees what is that office's.
    """
    wanted = tuple(events or ALL_EVENTS)
    check_patterns(wanted)
    whose = office or key.office
    check_allowed(key, Role.VIEWER, whose)
    streams: Streams = request.app.state.streams
    with streams.taken(key) as stream:
        watch = await streams.call(lambda: Watch(store, (last_event_id or since), wanted, whose))
        told = EventStream(
            _told(streams, stream, watch),
            ping=PING_S,
            send_timeout=60,
            sep="\n",
            # It ends by itself when the process does, with a last chunk; the library would cut it off.
            shutdown_grace_period=END_S,
        )
        return stream.answered(told)


async def _told(streams: Streams, stream: Stream, watch: Watch) -> AsyncIterator[ServerSentEvent]:
    """Events as they come, until the process ends or the key is taken back.

    An outage ends it: the reader comes back, with its id.
    """
    with suppress(StoreUnavailable):
        while not streams.stopping:
            try:
                found = await _unless_stopped(streams, watch.look)
                await stream.check()
            except EventsGone as gap:
                yield _event(GAP, watch.after, {"detail": str(gap)})
                return
            except KeyRefused as refusal:
                yield ServerSentEvent(_text({"detail": str(refusal)}), event=REFUSED, sep="\n")
                return
            for name, event_id, body in found or ():
                yield _event(name, event_id, body)
            if watch.moved:
                # So that a reader who wants little does not come back with an id long trimmed away.
                yield ServerSentEvent(id=watch.told(), sep="\n")


async def _unless_stopped(
    streams: Streams, work: Callable[[], Sequence[Any]]
) -> Sequence[Any] | None:
    """What comes, or None where the process ends first: nobody waits then for what may come."""
    found: Sequence[Any] | None = None
    async with anyio.create_task_group() as group:

        async def stop() -> None:
            await streams.stopped()
            group.cancel_scope.cancel()

        group.start_soon(stop)
        found = await streams.call(work)
        group.cancel_scope.cancel()
    return found


def _event(name: str, event_id: str, body: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(_text(body), event=name, id=event_id, sep="\n")


def _text(body: dict[str, Any]) -> str:
    return orjson.dumps(body).decode()
