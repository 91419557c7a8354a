"""ETags, and what If-Match and If-None-Match ask (RFC 9110, sections 8.8.3 and 13.1)."""

from __future__ import annotations

import re
from typing import Final, TypeVar

from scheduler.api.errors import NotFresh
from scheduler.domain.ids import shown

T = TypeVar("T", str, int)

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
ANY: Final = "*"


def etag(revision: str | int) -> str:
    """The tag of what has revisions."""
    return f'"{revision}"'


def check_fresh(asked: str | None, found: str) -> None:
    """Refuse to change what is not as it was looked at. Raises NotFresh.

    Compared strongly, as is due to a change: a weak tag is never the same.
    """
    if asked is None or asked.strip() == ANY:
        return
    tags = [f'"{text}"' for weak, text in _TAG.findall(asked) if not weak]
    if found not in tags:
        raise NotFresh(found=found, asked=shown(asked))


def is_known(asked: str | None, found: str) -> bool:
    """Whether who asks has this representation already; weak tags are the same here."""
    if asked is None:
        return False
    return asked.strip() == ANY or found in [f'"{text}"' for _, text in _TAG.findall(asked)]


def expected_revision(asked: str | None, found: T) -> T | None:
    """The revision that a change expects: the one found, if that is what was asked. Raises NotFresh."""
    if asked is None or asked.strip() == ANY:
        return None
    check_fresh(asked, etag(found))
    return found
