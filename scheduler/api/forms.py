"""What is said of a body or a name that is not as it must be: the forms of texts in words, and fields in doubt.

The document has a regular expression for each form; whoever wrote something else is told the rule.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from email.message import Message
from http import HTTPStatus
from typing import Any, Final, get_args, get_type_hints

from fastapi import HTTPException, Request
from typing_extensions import is_typeddict

from scheduler.api.errors import BodyNotJson
from scheduler.domain.ids import shown

_WORDS: Final[dict[str, str]] = {}


def form(pattern: str, says: str) -> str:
    """The pattern, of which this is said where a text is not of that form."""
    _WORDS[pattern] = says
    return pattern


def in_words(pattern: str) -> str:
    """What is said of a text that is not of this form."""
    return _WORDS[pattern]


def meant_field(word: str, body: Any) -> str:
    """The end of a sentence about a field that a body does not have: the one that was probably meant, or ""."""
    near = get_close_matches(word, _fields(body) - {word}, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _fields(kind: Any) -> set[str]:
    """All names of fields that occur in a type."""
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return set(hints).union(*map(_fields, hints.values()))
    return set().union(*map(_fields, get_args(kind)))


def has_content(request: Request) -> bool:
    """Whether a request says that it has a body."""
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def refuse_other_types(request: Request) -> None:
    """Refuse a body that does not say it is JSON. Raises BodyNotJson."""
    if not has_content(request):
        return
    said = Message()
    said["content-type"] = given = request.headers.get("content-type", "")
    kind = said.get_content_subtype()
    if not given:
        raise BodyNotJson(kind="missing")
    if said.get_content_maintype() != "application" or not f"+{kind}".endswith("+json"):
        raise BodyNotJson(kind=shown(given))


class DoubledName(HTTPException):
    """An object in a body has one name twice. FastAPI lets only errors of its own through."""


class JsonRequest(Request):
    """A request whose body is read so that no name in it is passed over for another of the same."""

    async def json(self) -> Any:
        """The body. Raises DoubledName; costs a seventh more than without a look at the names."""
        if not hasattr(self, "_json"):
            self._json = json.loads(await self.body(), object_pairs_hook=_once)
        return self._json


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DoubledName(HTTPStatus.BAD_REQUEST, f"an object in it has {shown(twice)} twice")
    return found
