"""Errors as problems (RFC 9457): this page is the map from the tree of errors to statuses.

A problem's ``type`` names the class of the error, its ``detail`` is the error's own sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from scheduler.api import errors as own
from scheduler.api.forms import DoubledName, in_words, meant_field
from scheduler.domain import errors
from scheduler.domain.errors import SchedulerError, sentence
from scheduler.operations.following import EventGap

MEDIA_TYPE: Final = "application/problem+json"
REQUEST_ID: Final = "x-request-id"

#: The status of an error is that of its nearest class here.
STATUSES: Mapping[type[SchedulerError], HTTPStatus] = MappingProxyType(
    {
        SchedulerError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
        own.MalformedBody: HTTPStatus.BAD_REQUEST,
        own.BodyNotJson: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        own.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        errors.BadMessage: HTTPStatus.BAD_REQUEST,
        errors.NotFound: HTTPStatus.NOT_FOUND,
        errors.Refused: HTTPStatus.CONFLICT,
        errors.KeyRefused: HTTPStatus.UNAUTHORIZED,
        errors.NotAllowed: HTTPStatus.FORBIDDEN,
        own.ForeignOrigin: HTTPStatus.FORBIDDEN,
        errors.OfficeRevisionConflict: HTTPStatus.PRECONDITION_FAILED,
        errors.SessionRevisionConflict: HTTPStatus.PRECONDITION_FAILED,
        errors.RevisionConflict: HTTPStatus.PRECONDITION_FAILED,
        own.NotFresh: HTTPStatus.PRECONDITION_FAILED,
        # Asked again later, unchanged, it may well be taken.
        errors.PendingLimitReached: HTTPStatus.TOO_MANY_REQUESTS,
        own.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
        own.TooManyStreamsOfKey: HTTPStatus.TOO_MANY_REQUESTS,
        EventGap: HTTPStatus.GONE,
        own.EventsGone: HTTPStatus.GONE,
        errors.RecordSpoilt: HTTPStatus.INTERNAL_SERVER_ERROR,
        # Nothing the client could do better.
        errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.RedisFull: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.RedisUnsuitable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.SchemaTooNew: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.SchemaTooOld: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.MigrationRefused: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.NoLeader: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.Deposed: HTTPStatus.SERVICE_UNAVAILABLE,
        own.TooManyStreams: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.SessionFailed: HTTPStatus.CONFLICT,
        errors.WaitTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    }
)

#: Seconds after which to try again; of what is not named, a second where it is 503 or 429.
RETRY_AFTER: Mapping[type[SchedulerError], int] = MappingProxyType(
    {
        errors.PendingLimitReached: 5,
        errors.RedisFull: 30,
        errors.RedisUnsuitable: 60,
        errors.SchemaTooNew: 60,
        errors.MigrationRefused: 60,
        own.TooManyStreams: 10,
        own.TooManyStreamsOfKey: 10,
    }
)
#: Kinds of bodies. They stand in the places of findings, beside names of fields.
COMMAND, CALLABLE, GRAPH = "a command", "a callable", "a graph"
KINDS: Final = frozenset(
    {COMMAND, CALLABLE, GRAPH, "constrained-str", "constrained-int", "TypedDict", "none"}
)
_LATER: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
#: Of what pydantic found wrong in one body, as much as a sentence takes.
_DEFECT: Final = "This is a defect of the scheduler, not of the request; the log tells more under the request's id."


def status_of(kind: type[SchedulerError]) -> HTTPStatus:
    """The status of a class of errors: that of its nearest class on the map."""
    return next(STATUSES[each] for each in kind.__mro__ if each in STATUSES)


def problem(error: SchedulerError, scope: Scope) -> Response:
    """The answer to a request that met this error."""
    kind = type(error)
    status = status_of(kind)
    headers = {}
    if status in _LATER:
        seconds = error.facts.get("seconds")
        headers["Retry-After"] = str(seconds or _retry_after(kind))
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="session-scheduler"'
    words = _WORDS.sub(" ", kind.__name__)
    detail = _DEFECT if status is HTTPStatus.INTERNAL_SERVER_ERROR else str(error)
    return _response(scope, status, (words, detail), headers)


def _retry_after(kind: type[SchedulerError]) -> int:
    return next((RETRY_AFTER[each] for each in kind.__mro__ if each in RETRY_AFTER), 1)


def _response(
    scope: Scope, status: HTTPStatus, said: tuple[str, str], headers: Mapping[str, str]
) -> Response:
    words, detail = said
    request = str(scope.get("state", {}).get("request_id", ""))
    body = {
        "type": f"urn:session-scheduler:problem:{words.lower().replace(' ', '-')}",
        "title": words.capitalize(),
        "status": int(status),
        "detail": detail,
        "request_id": request,
    }
    return Response(orjson.dumps(body), status, dict(headers), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of an app leave as a problem."""
    app.add_exception_handler(SchedulerError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_defect)


async def _on_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, SchedulerError):
        raise error
    return problem(error, request.scope)


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    body = getattr(request.scope.get("route"), "body_field", None)
    kind = body.field_info.annotation if body else None
    return problem(invalid(error.errors(), kind), request.scope)


async def _on_http(request: Request, error: Exception) -> Response:
    """What the frameworks refuse by themselves: no such page, no such method, a body that is none."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    if isinstance(error, DoubledName):
        return problem(own.MalformedBody(problem=error.detail), request.scope)
    if status is HTTPStatus.BAD_REQUEST:
        return problem(own.MalformedBody(problem="it is no JSON in UTF-8"), request.scope)
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return problem(own.BodyTooLarge(limit=error.detail), request.scope)
    said = {
        HTTPStatus.NOT_FOUND: "There is no such page; /openapi.json lists those there are.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not among what can be done with this page.",
    }.get(status, sentence(status.description or status.phrase))
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return _response(request.scope, status, (status.phrase, said), headers)


def _methods(request: Request) -> list[str]:
    """What can be done with a page, by all that was declared for it; a router tells of one only."""
    found: set[str] = set()
    for route in request.app.state.pages:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


async def _on_defect(request: Request, _: Exception) -> Response:
    response = _response(
        request.scope, HTTPStatus.INTERNAL_SERVER_ERROR, ("Internal server error", _DEFECT), {}
    )
    # It is answered outside of what gives all other answers their id.
    response.headers[REQUEST_ID] = str(request.scope.get("state", {}).get("request_id", ""))
    return response


def invalid(found: Sequence[Any], body: Any) -> errors.InvalidInput:
    """What a validation found, as one error: its first finding, and the field it is about.

    ``body`` is the type that the page takes.
    """
    # Of the kinds that a body may have, the finding of the kind that was meant says most.
    first: Mapping[str, Any] = found[0]
    if first["type"] == "json_invalid":
        where = f"it is no JSON at character {first['loc'][-1]} ({first['ctx']['error']})"
        return own.MalformedBody(problem=where)
    place, *path = (part for part in first["loc"] if not _is_kind(part))
    name = ".".join(map(str, path)) or f"the {place}"
    return errors.InvalidInput(problem=f"{_named(str(place), name)}: {_says(first, body)}")


def _is_kind(part: int | str) -> bool:
    """Whether it is a kind of value, not a name that whoever asked has written."""
    return part in KINDS or str(part).startswith("str-enum[")


def _named(place: str, name: str) -> str:
    return name if place in ("body", "path") else f"{place} {name}"


def _says(finding: Mapping[str, Any], body: Any) -> str:
    """In our words where pydantic's need a programmer."""
    match finding["type"]:
        case "missing":
            return "it is missing"
        case "dict_type":
            return "it must be an object, with names and values"
        case "extra_forbidden":
            field = str(finding["loc"][-1])
            # A body, or a job of a graph, that says twice what it is, is told by which of the two it was judged.
            kind = ([part for part in finding["loc"] if part in (CALLABLE, GRAPH)] or [""])[-1]
            within = f" in {kind}" if kind and field in ("command", "callable") else ""
            return f"there is no such field{within}{meant_field(field, body)}"
        case "string_pattern_mismatch":
            return in_words(finding["ctx"]["pattern"])
        case _:
            text = str(finding["msg"]).removeprefix("Value error, ")
            return text[:1].lower() + text[1:]
