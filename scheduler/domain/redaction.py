"""Secrets in addresses: what may be shown of them, and texts from which they are taken out.

Tokens stand anywhere in the address of a receiver: as its host (slack://), in its path, its query, its
password. So of one nothing is shown but where it leads, and of a scheme that is not the web's, not even that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

_SECRET_NAME = re.compile(r"secret|password|passwd|token|key|credential|auth", re.IGNORECASE)
_HIDDEN = "***"
_PIECE = re.compile(r"[^/?#&=@:;,+\s]+")
#: Pieces of an address shorter than this say nothing, and stand in too many words.
_SHORTEST = 4
#: Words of addresses that hide nothing.
_HARMLESS = frozenset({"http", "https", "hooks", "hook", "notify", "localhost", "webhook", "smtp"})


def origin(url: str) -> str:
    """Scheme, host and port of an http(s) address, lower case; of any other its scheme only."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in ("http", "https"):
        return f"{scheme.lower()}://{_HIDDEN}" if rest else _HIDDEN
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"{scheme.lower()}://{_HIDDEN}"
    named = f"[{host}]" if ":" in host else host
    return f"{scheme.lower()}://{named}" + (f":{port}" if port else "")


def shown_url(url: str) -> str:
    """An address as people may see it."""
    where = origin(url)
    rest = url.partition("://")[2].partition("@")[2] or url.partition("://")[2]
    bare = where.endswith(_HIDDEN) or not re.search(r"[/?#]\S", rest)
    return where if bare else f"{where}/{_HIDDEN}"


def shown_options(opts: Mapping[str, Any]) -> dict[str, Any]:
    """Options as people may see them: addresses by where they lead, secrets not at all."""
    return {name: _shown(name, value) for name, value in opts.items()}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return shown_options(value)
    if isinstance(value, list | tuple):
        return [_shown(name, each) for each in value]
    if isinstance(value, str) and "://" in value:
        return shown_url(value)
    return _HIDDEN if _SECRET_NAME.search(name) and not name.endswith(("_env", "_file")) else value


def secrets_in(opts: Mapping[str, Any]) -> list[str]:
    """The texts among options that may hold secrets."""
    found: list[str] = []
    for name, value in opts.items():
        if isinstance(value, Mapping):
            found += secrets_in(value)
        elif isinstance(value, list | tuple):
            found += [each for one in value for each in secrets_in({name: one})]
        elif isinstance(value, str) and ("://" in value or _SECRET_NAME.search(name)):
            found.append(value)
    return found


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """A text in which no secret, and no piece of an address beyond where it leads, is left."""
    for secret in secrets:
        for piece in _pieces(secret):
            text = text.replace(piece, _HIDDEN)
    return text


def _pieces(secret: str) -> list[str]:
    """The text itself and its parts, the longest first, as written and as unquoted."""
    where = origin(secret)
    shown = _PIECE.findall(where) if where.startswith(("http://", "https://")) else []
    scheme = secret.partition("://")[0].lower()
    parts = {secret, unquote(secret)}
    for whole in tuple(parts):
        parts |= set(_PIECE.findall(whole))
    harmless = {*_HARMLESS, scheme, *shown}
    kept = {p for p in parts if len(p) >= _SHORTEST and p.lower() not in harmless}
    return sorted(kept, key=len, reverse=True)
