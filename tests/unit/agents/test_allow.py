"""The allow-list."""

from __future__ import annotations

import pytest

from agents.allow import AllowList


@pytest.mark.parametrize(
    ("pattern", "target", "named"),
    [
        ("examples.*", "examples.survey:count", True),
        ("examples.survey:*", "examples.survey:count", True),
        ("examples.survey:count", "examples.survey:count", True),
        ("examples.survey.count", "examples.survey:count", True),
        ("*", "os:system", True),
        ("examples.*", "examples2.survey:count", False),
        ("examples.*", "os:system", False),
        ("EXAMPLES.*", "examples.survey:count", False),
    ],
)
def test_patterns_name_callables_in_both_spellings(
    pattern: str, target: str, *, named: bool
) -> None:
    assert named is AllowList((pattern,)).names(target)


def test_nothing_runs_unless_somebody_allows_it() -> None:
    allow = AllowList()

    assert "does not name os:system; start it with --allow 'os.*'" in allow.refusal(
        {"callable": "os:system"}
    )
    assert "--allow-commands" in allow.refusal({"command": ["true"]})


def test_commands_are_allowed_as_a_whole() -> None:
    allow = AllowList(commands=True)

    assert "" == allow.refusal({"command": ["true"]})
    assert allow.refusal({"callable": "os:system"})
