"""Callbacks: where the outcome of a session is posted when it has ended, and where that may be."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.redaction import origin

LONGEST_URL: Final = 2_000
#: How long a callback that fails is tried before it is parked, ms.
PATIENCE_MS: Final = 4 * 3_600_000
#: How long a parked one is kept, ms.
KEPT_MS: Final = 7 * 86_400_000
_FORM: Final = "such as https://ci.example.org/done"
#: Where clouds answer whoever asks from inside with credentials, beside the link-local addresses.
_METADATA: Final = frozenset({"fd00:ec2::254", "100.100.100.200"})


@dataclass(frozen=True, slots=True)
class Callback:
    """The outcome of one end of a session, to be posted. Times are ms of Redis' clock."""

    entry: str  #: session and time of the end
    session: str
    lane: str  #: scheme, host and port
    url: str
    state: str
    reason: str
    attempt: int
    ended_at: int
    failures: int = 0
    error: str = ""
    parked_at: int | None = None
    chances: int = 0  #: how often it was tried again after it had been given up


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A parked callback, as little as a decision about another chance needs. Times are ms of Redis' clock."""

    entry: str
    lane: str
    parked_at: int
    since: int  #: when it was tried first
    for_good: bool  #: its host said so, or it may not be posted there


@dataclass(frozen=True, slots=True)
class Lane:
    """What waits for one host; one callback at a time is on its way there."""

    name: str
    waiting: int
    due_at: int
    failures: int  #: in a row, without any answer
    error: str  #: what the first of those that wait failed with last


def check_callback(url: str) -> None:
    """Refuse what is no address to post to; "" is none. Raises InvalidSpec, which does not show it."""
    if not url:
        return
    if len(url) > LONGEST_URL:
        raise _wrong(f"it has {len(url)} characters, the limit is {LONGEST_URL}")
    if not url.isascii() or any(not "!" <= char <= "~" for char in url):
        raise _wrong("it has spaces or other characters that must be written as %XX")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _wrong(f"it is no address {_FORM}") from error
    if parts.scheme.lower() not in ("http", "https") or not host or port == 0:
        raise _wrong(f"it must be an http or https address {_FORM}")
    if parts.username is not None or parts.password is not None:
        raise _wrong("leave user and password out; the signature says who posts")
    if why := AllowedHosts().refusal_of(host, None):
        raise _wrong(why)


def _wrong(problem: str) -> InvalidSpec:
    return InvalidSpec(problem=f"callback: {problem}")


def callback_field(url: str) -> str:
    """As a session's record holds it: where it leads to, which is its lane, and the address."""
    return f"{origin(url)} {url}"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Hosts that may be posted to: names, addresses or patterns; none are all but those of _METADATA's kind.

    What a name resolves to is judged, too: a name may lead to a link-local address at any time.
    """

    patterns: tuple[str, ...] = ()

    def refusal_of(self, host: str, address: str | None) -> str:
        """Why a host must not be posted to at an address (None: not known yet), or ""."""
        name = host.lower().rstrip(".")
        if self.patterns and not any(fnmatchcase(name, p.lower()) for p in self.patterns):
            return f"{name} is not among the hosts that callbacks may go to"
        literal = _address(address or name)
        if literal is None or str(literal) in self.patterns or not _is_internal(literal):
            return ""
        return f"{name} leads to {literal}, where no callback may go"


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found


def _is_internal(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or str(address) in _METADATA
    )
