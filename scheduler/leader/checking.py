"""Looks at what a signed report says before anything is done with it.

An agent that knows its key may still say nonsense. What is not refused here would fail in a script
or in the next load, for ever: the cursor does not pass a report that ends the term.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from scheduler.domain.errors import BadMessage
from scheduler.domain.ids import is_name, is_session_id
from scheduler.domain.slots import LARGEST
from scheduler.protocol.report import (
    MAX_ERROR,
    MAX_RESULT,
    EndReason,
    KernelReport,
    Leaving,
    Registration,
    Report,
)

_NONCE = re.compile(r"[0-9a-f]{32}")
_SLOT = re.compile(r"cpu|mem|disk|[a-z][a-z0-9_]{0,30}\.[0-9]{1,3}")
_LONGEST_TEXT = 1_024
_MOST_SLOTS, _MOST_LABELS = 1_024, 256
_LONGEST_MS = 7 * 86_400_000


def checked(report: Report) -> Report:
    """The report, with what is too long cut off. Raises BadMessage for one that makes no sense."""
    _demand(is_name(_text(report.agent)), "its agent's name is none")
    _demand(_is_nonce(report.boot), "its boot is no nonce")
    match report:
        case KernelReport():
            return _kernel(report)
        case Registration():
            _registration(report)
        case Leaving():
            pass
    return report


def claim_number(text: str) -> int:
    """The number the claim script put beside a report: not signed, so 0 where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0  # noqa: PLR2004 - below 2^53


def _registration(report: Registration) -> None:
    slots = _mapping(report.slots, _MOST_SLOTS)
    # No slots at all, or none of one, is answered to the agent instead.
    fine = all(
        _SLOT.fullmatch(name) and _is_int(amount) and amount <= LARGEST
        for name, amount in slots.items()
    )
    _demand(fine, "its slots are none")
    for pairs in (report.models, report.labels):
        texts = _mapping(pairs, _MOST_LABELS)
        _demand(
            all(len(name) + len(_text(value)) <= _LONGEST_TEXT for name, value in texts.items()),
            "a label is too long",
        )
    for text in (report.group, report.architecture, report.address, report.swept):
        _demand(len(_text(text)) <= _LONGEST_TEXT, "a text is too long")
    _demand(_is_int(report.lease_ms) and 0 < report.lease_ms <= _LONGEST_MS, "its lease is none")
    _demand(_is_int(report.grace_ms) and 0 <= report.grace_ms <= _LONGEST_MS, "its grace is none")
    _demand(
        _is_int(report.max_kernels) and 0 <= report.max_kernels <= LARGEST,
        "its limit of kernels is none",
    )


def _kernel(report: KernelReport) -> KernelReport:
    _demand(is_session_id(_text(report.session)), "its session is none")
    _demand(_is_int(report.kernel) and report.kernel >= 0, "its kernel is none")
    _demand(_is_nonce(report.placement), "its placement is no nonce")
    for number in (report.exit_code, report.signal):
        # None of both is most of what is said.
        if number is not None:
            fine = _is_int(number) and abs(number) <= LARGEST
            _demand(fine, "its exit code or signal is none")
    _demand(len(_text(report.reason)) <= _LONGEST_TEXT, "its reason is too long")
    if len(_text(report.error)) > MAX_ERROR:
        report = replace(report, error=report.error[:MAX_ERROR])
    if report.result is not None and not _is_json(report.result):
        # The kernel is over all the same: dropping the report would leave it running for ever.
        return replace(report, result=None, reason=EndReason.BAD_RESULT)
    return report


def _is_json(text: object) -> bool:
    if not isinstance(text, str) or len(text) > MAX_RESULT:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _mapping(value: object, most: int) -> dict[str, Any]:
    _demand(isinstance(value, dict) and len(value) <= most, "it has no mapping where one belongs")
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise BadMessage(why="it has no text where one belongs")


def _is_nonce(value: object) -> bool:
    return _NONCE.fullmatch(_text(value)) is not None


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _demand(fine: bool, why: str) -> None:  # noqa: FBT001 - the one question asked here
    if not fine:
        raise BadMessage(why=why)
