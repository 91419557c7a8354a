"""The pure parts of the benchmark: percentiles, ratios, verdicts, and what redis-benchmark prints."""

from __future__ import annotations

import pytest

from benchmarks.budgets import BUDGETS, RATIOS, verdicts, with_ratios
from benchmarks.ceiling import command, rate_of
from benchmarks.report import document, number, told
from benchmarks.scale import QUICK, Scale, percentile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7.0], 50, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 11)], 99, 10.0),
        ([1.0, 2.0], 0, 1.0),
        ([1.0, 2.0], 100, 2.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], share: float, expected: float
) -> None:
    assert expected == percentile(values, share)


def test_nothing_measured_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 50)


def test_ratios_are_taken_of_what_was_measured_in_the_same_run() -> None:
    found = with_ratios(
        {
            "place_per_s_5000": 8_000,
            "ceiling_near_placement_5000_per_s": 40_000,
            "submit_one_per_s": 1_000,
        }
    )

    assert 0.2 == found["place_to_ceiling"]
    assert "submit_one_to_rq" not in found
    assert "submit_many_to_ceiling" not in found


def test_a_rate_of_zero_makes_no_ratio() -> None:
    assert "end_to_end_to_rq" not in with_ratios({"end_to_end_per_s": 5, "rq_simple_per_s": 0})


@pytest.mark.parametrize(
    ("key", "measured", "says"),
    [
        ("place_to_ceiling", 0.10, "holds"),
        ("place_to_ceiling", 0.30, "holds"),
        ("place_to_ceiling", 0.05, "misses by 50.0 %"),
        ("place_10000_to_1000", 0.799, "misses by 0.1 %"),
        ("script_p99_ms", 10.0, "holds"),
        ("script_p99_ms", 25.0, "misses by 150.0 %"),
        ("takeover_kill_p99_ms", 400.0, "holds"),
    ],
)
def test_a_verdict_says_whether_a_budget_holds_and_by_how_much_not(
    key: str, measured: float, says: str
) -> None:
    [verdict] = [v for v in verdicts({key: measured}) if v.budget.key == key]

    assert says == verdict.says
    assert (says == "holds") is verdict.holds


def test_what_was_not_measured_neither_holds_nor_misses() -> None:
    assert {("not measured", None)} == {(v.says, v.holds) for v in verdicts({})}


def test_each_figure_has_one_budget() -> None:
    keys = [budget.key for budget in BUDGETS]

    assert len(keys) == len(set(keys))
    assert RATIOS.keys() <= set(keys)


def test_a_document_holds_figures_ratios_and_verdicts() -> None:
    found = {"place_per_s_10000": 90.0, "place_per_s_1000": 100.0, "curve": [(1, 2.0)]}

    made = document(found, run={"quick": True}, notes=["a tool is missing"])

    assert 0.9 == made["place_10000_to_1000"]
    assert "holds" == made["verdicts"]["place_10000_to_1000"]
    assert [(1, 2.0)] == made["curve"]
    assert ["a tool is missing"] == made["notes"]
    assert made["run"]["quick"]


def test_a_table_tells_how_busy_the_machine_was_before() -> None:
    run = {"cores": 2, "load_average_before": [1.5, 0.25, 0.0]}

    assert "2 cores; load average before the run (1, 5, 15 min): 1.50, 0.25, 0.00" == told(run)


def test_the_rate_is_read_by_the_name_of_its_column() -> None:
    said = '"test","rps","avg_latency_ms"\n"evalsha abc 0 x","25223.86","31.242"\n'

    assert 25_223.86 == rate_of(said)


def test_the_ceiling_is_fifty_clients_pipelined_by_sixteen() -> None:
    call = " ".join(command(7000, "abc", 100))

    assert "-p 7000 -c 50 -P 16 -n 100 " in call
    assert call.endswith("evalsha abc 0 __rand_int__")


def test_a_short_look_measures_the_same_sizes_of_cluster() -> None:
    """Their numbers are in the names of the figures."""
    assert (Scale().agents, Scale().beating_agents) == (QUICK.agents, QUICK.beating_agents)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0123, "0.0123"), (9.876, "9.88"), (10, "10"), (12_345.6, "12,346")]
)
def test_numbers_are_as_long_as_they_say_something(value: float, shown: str) -> None:
    assert shown == number(value)
