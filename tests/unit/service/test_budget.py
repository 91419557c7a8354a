"""A call that hangs costs one budget and one thread, however often it is made."""

from __future__ import annotations

import threading

import pytest

from scheduler.service.budget import Budgeted, OverBudget


def test_what_it_raises_reaches_the_caller() -> None:
    calls = Budgeted("b")

    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        calls.call(fail, 5)


def test_a_call_that_hangs_is_given_up_and_not_made_again_until_it_returned() -> None:
    """K9, K12."""
    calls, free, came = Budgeted("hook"), threading.Event(), threading.Event()

    def hang() -> None:
        free.wait(30)

    with pytest.raises(OverBudget, match=r"hook took longer than 0\.01 s"):
        calls.call(hang, 0.01)
    with pytest.raises(OverBudget, match="still hangs"):
        calls.call(came.set, 5)
    free.set()
    assert calls._free.wait(60), "the call that hung did not return"

    calls.call(came.set, 10)

    assert came.is_set()
