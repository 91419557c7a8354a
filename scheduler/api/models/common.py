"""Forms that several bodies share, and problems as the document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from scheduler.api.forms import form
from scheduler.api.problems import MEDIA_TYPE, STATUSES
from scheduler.api.routing import NAME_PATTERN

#: No control characters, which would break a terminal or a log line.
PRINTABLE: Final = form(
    "^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]*$", "it has a control character or a line break in it"
)
PRINTABLE_WORD: Final = form(
    "^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]{1,256}$",
    "it must have 1 to 256 characters, without control characters and line breaks",
)
#: A mapping whose names have a form has no others.
NO_OTHERS: Final[dict[str, JsonValue]] = {"additionalProperties": False}
DURATION_PATTERN: Final = form(
    "^[1-9][0-9]{0,6}(ms|s|m)?$|^[1-9][0-9]{0,4}h$|^[1-9][0-9]{0,3}d$",
    "it must be a whole number with a unit, such as 500ms, 30s, 30m, 2h or 7d",
)


def _whole(value: object) -> object:
    """JSON knows one kind of number: 98.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Behind the bounds of a number, or the document would not have them.
WHOLE: Final = BeforeValidator(_whole)
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Duration = Annotated[
    str,
    Field(
        pattern=DURATION_PATTERN,
        description="500ms, 30s, 30m, 2h or 7d; a bare number is seconds.",
        examples=["30m"],
    ),
]
Label = Annotated[str, Field(pattern=PRINTABLE, max_length=256)]


#: What somebody sends: nothing is converted, and no field is passed over. Bodies are typed
#: mappings: what was not said is not there, and a graph of 100,000 jobs is no heap of objects.
STRICT: Final = ConfigDict(extra="forbid", strict=True)


class View(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)


class Problem(View):
    """What went wrong, in one sentence (RFC 9457)."""

    type: str = Field(examples=["urn:session-scheduler:problem:office-not-found"])
    title: str = Field(examples=["Office not found"])
    status: int = Field(examples=[404])
    detail: str = Field(
        examples=["Office 'acme' does not exist; `scheduler office create acme` makes it."]
    )
    request_id: str = Field(examples=["0f8fad5bd9cb469fa165708677289520"])


_SAYS: Final = {
    400: ("Malformed body", "The body cannot be read: it is no JSON at character 12."),
    401: (
        "Key refused",
        (
            "The request was refused: it shows no API key;"
            " send the header Authorization: Bearer sk_ID_SECRET."
        ),
    ),
    403: (
        "Not allowed",
        "Not allowed: this needs the role operator, API key 4f8e0c12a9b3 has viewer.",
    ),
    404: (
        "Session not found",
        (
            "Session 01kaz3v9m2r4t6w8y0b1d3f5h7 is not known here;"
            " it may have been forgotten after its retention."
        ),
    ),
    409: (
        "Wrong state",
        (
            "Session 01kaz3v9m2r4t6w8y0b1d3f5h7 is RUNNING; retry works only in"
            " CANCELLED, FAILED, TIMED_OUT."
        ),
    ),
    410: (
        "Events gone",
        "Events after 1764151200000-17 are not on record any more; begin anew, without Last-Event-ID.",
    ),
    412: (
        "Office revision conflict",
        "Office 'acme' is at revision 8, not 7: somebody changed it meanwhile; nothing was written.",
    ),
    413: (
        "Body too large",
        "The body has more than 4194304 bytes, which is as much as is taken; nothing was written.",
    ),
    415: (
        "Body not json",
        (
            "The Content-Type is missing; send the body as JSON,"
            " with the header Content-Type: application/json."
        ),
    ),
    422: ("Invalid input", "Bad input: priority: input should be less than or equal to 100."),
    429: (
        "Too many requests",
        "API key 4f8e0c12a9b3 has used up its 6000 per 1 minute; try again in 12 s.",
    ),
    500: (
        "Internal server error",
        (
            "This is a defect of the scheduler, not of the request;"
            " the log tells more under the request's id."
        ),
    ),
    503: (
        "Store unavailable",
        "Redis at redis://127.0.0.1:6379/0 does not answer: connection refused.",
    ),
}
#: Statuses that any page may answer.
_ANYWHERE: Final = (401, 403, 422, 429, 500, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a page, with an example of each, as FastAPI's ``responses`` takes them."""
    return {status: _problem(status) for status in sorted({*_ANYWHERE, *statuses})}


#: Of pages that take If-None-Match.
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "It is what who asks has already: its ETag is the one of If-None-Match."}
}


def _problem(status: int) -> dict[str, Any]:
    title, detail = _SAYS[status]
    example = {
        "type": f"urn:session-scheduler:problem:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": "0f8fad5bd9cb469fa165708677289520",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    found: dict[str, Any] = {
        "description": title,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }
    if status in (429, 503):
        found["headers"] = {
            "Retry-After": {
                "description": "Seconds after which to try again.",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    if status == 401:  # noqa: PLR2004 - the key of the table above
        found["headers"] = {
            "WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}
        }
    return found


KNOWN: Final = frozenset(map(int, STATUSES.values()))
