"""What a signed report may say; nonsense is dropped before anything is done with it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from scheduler.domain.errors import BadMessage
from scheduler.leader.checking import checked, claim_number
from scheduler.protocol.report import EndReason, KernelReport, Leaving, Registration, ReportKind

BOOT = "b" * 32
HELLO = Registration(agent="a1", boot=BOOT, group="default", slots={"cpu": 4000, "cuda.0": 1000})
ENDED = KernelReport(
    kind=ReportKind.ENDED,
    agent="a1",
    boot=BOOT,
    session="0" * 26,
    kernel=0,
    placement="c" * 32,
    exit_code=0,
)


@pytest.mark.parametrize(
    "report", [HELLO, ENDED, Leaving(agent="a1", boot=BOOT), replace(ENDED, signal=-9)]
)
def test_a_sound_report_passes_as_it_is(report: Registration | KernelReport | Leaving) -> None:
    assert report == checked(report)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent", 5),
        ("agent", "no name"),
        ("boot", "short"),
        ("boot", None),
        ("group", ["default"]),
        ("slots", []),
        ("slots", {"cpu": "4"}),
        ("slots", {"cpu": 1.5}),
        ("slots", {"cpu": True}),
        ("slots", {"cpu": 2**60}),
        ("slots", {"free:cpu": 1}),
        ("slots", {f"cuda.{i}": 1 for i in range(2_000)}),
        ("models", "V100"),
        ("labels", {"zone": 1}),
        ("labels", {"zone": "x" * 2_000}),
        ("address", "x" * 2_000),
        ("architecture", None),
        ("lease_ms", "abc"),
        ("lease_ms", 0),
        ("lease_ms", 2**52),
        ("grace_ms", -1),
        ("max_kernels", -1),
        ("max_kernels", 1.0),
        ("swept", 0),
    ],
)
def test_a_registration_that_makes_no_sense_is_dropped(field: str, value: Any) -> None:
    """X8: a cursor does not pass a report that ends the term."""
    with pytest.raises(BadMessage):
        checked(replace(HELLO, **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("session", "x"),
        ("session", 1),
        ("kernel", -1),
        ("kernel", "0"),
        ("kernel", False),
        ("placement", ""),
        ("exit_code", "0"),
        ("exit_code", 2**60),
        ("signal", [9]),
        ("reason", {}),
        ("reason", "x" * 2_000),
        ("error", {"a": 1}),
    ],
)
def test_a_kernels_report_that_makes_no_sense_is_dropped(field: str, value: Any) -> None:
    with pytest.raises(BadMessage):
        checked(replace(ENDED, **{field: value}))


def test_an_error_that_is_too_long_is_cut_and_the_end_still_counts() -> None:
    report = checked(replace(ENDED, error="x" * 100_000))

    assert isinstance(report, KernelReport)
    assert 16 * 1024 == len(report.error)


@pytest.mark.parametrize("result", [{}, 5, "no json", "[" * 100_000, json.dumps("x" * 2**20)])
def test_a_result_that_is_none_makes_the_kernel_fail_instead_of_running_for_ever(
    result: Any,
) -> None:
    report = checked(replace(ENDED, result=result))

    assert isinstance(report, KernelReport)
    assert (None, EndReason.BAD_RESULT) == (report.result, report.reason)


@pytest.mark.parametrize(
    ("text", "number"),
    [("17", 17), ("", 0), ("x", 0), ("-1", 0), ("1e9", 0), ("٣", 0), ("9" * 40, 0)],
)
def test_the_number_of_a_claim_is_not_signed_and_believed_only_as_a_number(
    text: str, number: int
) -> None:
    assert number == claim_number(text)
