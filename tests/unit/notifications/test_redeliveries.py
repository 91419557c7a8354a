"""Which callbacks that were given up are tried again: all for a host that is well, one for any other."""

from __future__ import annotations

from dataclasses import replace

from scheduler.domain.callback import GivenUp
from scheduler.notifications.redeliveries import RedeliveryRules, due

NOW, EVERY, WITHIN = 10_000_000, 1_000, 100_000
RULES = RedeliveryRules(EVERY, WITHIN)


def parked(entry: str, ago: int, lane: str = "a") -> GivenUp:
    return GivenUp(entry, lane, NOW - ago, NOW - ago - 50, for_good=False)


def test_one_of_each_host_is_tried_the_first_that_was_given_up() -> None:
    found = [parked("a1", 9_000), parked("a2", 8_000), parked("b1", 7_000, "b")]

    assert ["a1", "b1"] == due(found, {}, (), NOW, RULES)


def test_nothing_is_tried_for_a_host_that_failed_lately_or_for_which_others_wait() -> None:
    found = [parked("a1", 9_000), parked("b1", 7_000, "b"), parked("a2", EVERY - 1)]

    assert ["b1"] == due(found, {}, (), NOW, RULES)
    assert [] == due(found, {}, {"b"}, NOW, RULES)


def test_all_are_tried_for_a_host_that_took_one_since() -> None:
    found = [parked("a1", 9_000), parked("a2", 8_000), parked("a3", 3_000), parked("a4", 999)]

    assert ["a1", "a2"] == due(found, {"a": NOW - 5_000}, {"a"}, NOW, RULES)
    assert ["a1", "a2", "a3"] == due(found, {"a": NOW - 1_000}, (), NOW, RULES), "not too often"


def test_what_was_tried_for_too_long_or_refused_for_good_stays() -> None:
    found = [
        replace(parked("a1", 9_000), since=NOW - WITHIN - 1),
        replace(parked("a2", 9_000), for_good=True),
        parked("a3", 9_000),
    ]

    assert ["a3"] == due(found, {"a": NOW}, (), NOW, RULES)
