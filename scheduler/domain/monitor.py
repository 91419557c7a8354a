"""What a kernel's output may tell of its work: that it is done, or that it hangs."""

from __future__ import annotations

import re
from typing import Final

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.ids import shown

LONGEST_PATTERN: Final = 200
#: Bytes of a line of output that are looked at.
LONGEST_LINE: Final = 4096


def done_line(pattern: str) -> re.Pattern[str]:
    """The regular expression that a whole line of output must match. Raises InvalidSpec."""
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise InvalidSpec(
            problem=f"done_pattern must have 1 to {LONGEST_PATTERN} characters, got {len(pattern)}"
        )
    if "\n" in pattern:
        raise InvalidSpec(problem="done_pattern has a line break, and lines of output have none")
    try:
        return re.compile(pattern)
    # A warning is one where warnings are errors; the others are of patterns nobody means.
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise InvalidSpec(
            problem=f"done_pattern {shown(pattern)} is no regular expression: {error}"
        ) from error
