"""Pages that say which role they need, and are not made without."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Annotated, Any, Final, get_args, get_origin

from fastapi import Depends, Header, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic.json_schema import SkipJsonSchema
from starlette.datastructures import Headers, ImmutableMultiDict
from starlette.routing import Match
from starlette.types import Scope

from scheduler.api.forms import JsonRequest, form, has_content, refuse_other_types
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
        queries, headers = self.dependant.query_params, self.dependant.header_params
        known = {field.alias for field in queries}
        single = [field.alias for field in queries if not _repeats(field.field_info.annotation)]

        async def guarded(request: Request) -> Response:
            key = key_of(request)
            office = request.path_params.get("office_id", "")
            check_allowed(key, role, key.office if filtered else office)
            # A filter that is misspelled would show everything.
            for name in request.query_params.keys() - known:
                raise InvalidInput(
                    problem=f"query {shown(name)}: there is no such; there are {_listed(known)}"
                )
            _refuse_repeats("query", request.query_params, single)
            _refuse_repeats("header", request.headers, [field.alias for field in headers])
            if has_body:
                refuse_other_types(request)
            else:
                await _refuse_body(request, known)
            return await answer(JsonRequest(request.scope, request.receive))

        return guarded


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _repeats(annotation: Any) -> bool:
    """Whether what is of this type may be said several times."""
    return get_origin(annotation) is list or any(map(_repeats, get_args(annotation)))


def _refuse_repeats(
    place: str, said: ImmutableMultiDict[str, str] | Headers, names: Iterable[str]
) -> None:
    """Refuse what is said twice: one of the two would be passed over. Raises InvalidInput."""
    for name in names:
        if len(said.getlist(name)) > 1:
            raise InvalidInput(problem=f"{place} {name}: it is there twice")


async def _refuse_body(request: Request, known: Collection[str]) -> None:
    """Refuse what a page would not read: a filter put there would filter nothing. Raises InvalidInput."""
    if has_content(request) and (await request.body()).strip() not in (b"", b"{}"):
        raise InvalidInput(
            problem=f"the body: this page takes none; what it takes stands in its query: {_listed(known)}"
        )


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
GRAPH_PATTERN: Final = form(
    "^g[0-9a-hjkmnp-tv-z]{26}$",
    "it is no id of a graph, which has a g and 26 digits and small letters",
)

OfficeId = Annotated[
    str, Path(pattern=NAME_PATTERN, description="The office's name.", examples=["acme"])
]
JobId = Annotated[
    str,
    Path(pattern=JOB_PATTERN, description="The job's id.", examples=["01kaz3v9m2r4t6w8y0b1d3f5h7"]),
]
GraphId = Annotated[
    str,
    Path(
        pattern=GRAPH_PATTERN,
        description="The graph's id.",
        examples=["g01kaz3v9m2r4t6w8y0b1d3f5h7"],
    ),
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
