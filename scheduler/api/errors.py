"""What only the HTTP API refuses; the tree of all else is in `scheduler.domain.errors`."""

from __future__ import annotations

from scheduler.domain.errors import InvalidInput, Refused


class MalformedBody(InvalidInput):
    """The body cannot be read: {problem}."""


class BodyNotJson(InvalidInput):
    """The Content-Type is {kind}; send the body as JSON, with the header Content-Type: application/json."""


class BodyTooLarge(InvalidInput):
    """The body has more than {limit} bytes, which is as much as is taken; nothing was written."""


class NotFresh(Refused):
    """It has changed: its ETag is {found} now, and If-Match asked for {asked}; nothing was written."""


class TooManyRequests(Refused):
    """API key {key} has used up its {rate}; try again in {seconds} s."""


class TooManyStreams(Refused):
    """There are {limit} streams open, and this API serves no more at once; try again later."""


class TooManyStreamsOfKey(Refused):
    """API key {key} has {limit} streams open, which is as many as one key may; end one of them first."""


class ForeignOrigin(Refused):
    """Without API keys only pages of this machine are answered, and this request is of {origin}."""


class EventsGone(Refused):
    """Events after {since} are not on record any more; begin anew, without Last-Event-ID."""
