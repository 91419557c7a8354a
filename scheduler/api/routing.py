"""Pages that say which role they need, and are not made without."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic.json_schema import SkipJsonSchema
from starlette.routing import Match
from starlette.types import Scope

from scheduler.api.forms import JsonRequest, form, refuse_other_types
from scheduler.auth.permissions import check_allowed
from scheduler.bootstrap import Store
from scheduler.domain.api_key import ApiKey, Role
from scheduler.domain.errors import InvalidInput, KeyRefused
from scheduler.domain.ids import shown

_ROLE: Final = "x-required-role"
_OFFICES: Final = "x-offices"
#: A page that stands where ids of jobs stand.
CANCEL_ALL: Final = "cancel-all"


class GuardedRoute(APIRoute):
    """A page whose role is looked at before its body is read."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the page is asked for; a word that is a page of its own is no id."""
        match, found = super().matches(scope)
        if found.get("path_params", {}).get("job_id") == CANCEL_ALL:
            return Match.NONE, {}
        return match, found

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers."""
        facts = self.openapi_extra or {}
        role, filtered = Role(facts[_ROLE]), facts.get(_OFFICES) == "filtered"
        answer = super().get_route_handler()
        has_body = self.body_field is not None
        known = {field.alias for field in self.dependant.query_params}

        async def guarded(request: Request) -> Response:
            key = key_of(request)
            office = request.path_params.get("office_id", "")
            check_allowed(key, role, key.office if filtered else office)
            # A filter that is misspelled would show everything.
            for name in request.query_params.keys() - known:
                there = ", ".join(sorted(known)) or "none"
                raise InvalidInput(
                    problem=f"query {shown(name)}: there is no such; there are {there}"
                )
            if has_body:
                refuse_other_types(request)
            return await answer(JsonRequest(request.scope, request.receive))

        return guarded


def needs(role: Role) -> dict[str, Any]:
    """What a page needs, as its declaration and the document say it."""
    return {_ROLE: str(role)}


def filters(role: Role) -> dict[str, Any]:
    """The same of a page that shows to the key of an office what is that office's."""
    return {_ROLE: str(role), _OFFICES: "filtered"}


def key_of(request: Request) -> ApiKey:
    """Who asks. Raises KeyRefused where nobody was let in."""
    found = request.scope["state"].get("key")
    if not isinstance(found, ApiKey):
        raise KeyRefused(why="it shows no API key")
    return found


async def _store(request: Request) -> Store:
    found: Store = request.app.state.store
    return found


async def _key(request: Request) -> ApiKey:
    return key_of(request)


StoreOf = Annotated[Store, Depends(_store)]
KeyOf = Annotated[ApiKey, Depends(_key)]

#: What need not be said: the document shows what it is when it is said, and null is not among it.
Nothing = SkipJsonSchema[None]

NAME_PATTERN: Final = form(
    "^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$",
    "it is no name: letters, digits, _ and - only, at most 63, with a letter or digit at both ends",
)
JOB_PATTERN: Final = form(
    "^[0-9a-hjkmnp-tv-z]{26}$", "it is no id of a job, which has 26 digits and small letters"
)

OfficeId = Annotated[
    str, Path(pattern=NAME_PATTERN, description="The office's name.", examples=["acme"])
]
JobId = Annotated[
    str,
    Path(pattern=JOB_PATTERN, description="The job's id.", examples=["01kaz3v9m2r4t6w8y0b1d3f5h7"]),
]
IfMatch = Annotated[
    str | Nothing,
    Header(
        description="Do it only where the ETag is still this one; 412 otherwise.",
        examples=['"7"'],
    ),
]
IfNoneMatch = Annotated[
    str | Nothing,
    Header(
        description="Answer 304 where the ETag is still this one.",
    ),
]
