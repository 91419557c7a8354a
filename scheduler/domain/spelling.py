"""Words that were probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from scheduler.domain.errors import InvalidSetting

#: How alike two settings are, of 1, where one is taken for the other mistyped: a letter or two apart.
#: No two that exist are more alike than 0.89.
_MISTYPED = 0.92


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the one that was meant, or all there are."""
    words = list(known)
    near = get_close_matches(word, words, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(words)}"


def refuse_mistyped(variables: Iterable[str], known: Iterable[str], prefix: str) -> None:
    """A variable that is almost a setting would be passed over in silence. Raises InvalidSetting.

    What is like none of them may be another program's: the scheduler's and an agent's settings share
    a prefix, and neither knows the other's.
    """
    settings = {f"{prefix}{name.upper()}" for name in known}
    for name in sorted(variables):
        if name in settings or not name.startswith(prefix):
            continue
        if near := get_close_matches(name, settings, 1, cutoff=_MISTYPED):
            raise InvalidSetting(
                name=name, problem=f"there is no such setting; did you mean {near[0]}?"
            )
