"""Slots: read from text, given out without overselling, compared."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain import slots as s
from scheduler.domain.errors import InvalidSlots

families = st.sampled_from(["cuda", "rocm"])
frees = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.integers(0, 4000),
        "mem": st.integers(0, 1024),
        **{
            f"{family}.{index}": st.integers(0, 1000)
            for family in ("cuda", "rocm")
            for index in range(4)
        },
    },
)
asked = st.fixed_dictionaries(
    {}, optional={"cpu": st.integers(1, 4000), "mem": st.integers(1, 1024)}
)
accelerators = st.dictionaries(
    families, st.tuples(st.sampled_from(["shares", "device"]), st.integers(1, 1000)), max_size=2
).map(
    lambda found: {
        f"{family}.{kind}": amount if kind == "shares" else 1 + amount % 4
        for family, (kind, amount) in found.items()
    }
)
requests = st.builds(lambda plain, devices: plain | devices, asked, accelerators).filter(bool)


@pytest.mark.parametrize(
    ("name", "text", "amount"),
    [
        ("cpu", "1", 1000),
        ("cpu", 2, 2000),
        ("cpu", "0.5", 500),
        ("cpu", "250m", 250),
        ("cpu", "0.0001", 1),
        ("mem", "256", 256),
        ("mem", "256MiB", 256),
        ("mem", "1.5GiB", 1536),
        ("mem", "1TiB", 1024 * 1024),
        ("mem", "1KiB", 1),
        ("mem", "1GB", 954),
        ("mem", "1G", 954),
        ("disk", " 10 GiB ", 10_240),
        ("cuda.shares", 460, 460),
        ("cuda.shares", 1000, 1000),
        ("cuda.device", "2", 2),
        ("mem", str(s.LARGEST), s.LARGEST),
    ],
)
def test_an_amount_is_read_with_its_unit(name: str, text: str | int, amount: int) -> None:
    assert {name: amount} == s.parse_request({name: text})


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        ({}, "at least one slot"),
        ({"cpu": 0}, "more than zero"),
        ({"cpu": "-1"}, "not a positive number"),
        ({"cpu": -1}, "not a positive number"),
        ({"cpu": "1e3"}, "not a positive number"),
        ({"cpu": ""}, "not a positive number"),
        ({"cpu": "nan"}, "not a positive number"),
        ({"cpu": "٣"}, "not a positive number"),
        ({"cpu": "1GiB"}, "unit 'GiB' of cpu"),
        ({"mem": "1m"}, "unit 'm' of mem"),
        ({"mem": "1gib"}, "unit 'gib' of mem"),
        ({"mem": str(2**53)}, "more than any machine has"),
        ({"mem": "9" * 5000}, "more than any machine has"),
        ({"gpu": 1}, "slot 'gpu' is unknown"),
        ({"CPU": 1}, "slot 'CPU' is unknown"),
        ({"cuda.0": 1}, "slot 'cuda.0' is unknown"),
        ({"cpu.shares": 1}, "slot 'cpu.shares' is unknown"),
        ({"Cuda.device": 1}, "is unknown"),
        ({"cuda.device": "1GiB"}, "takes no unit"),
        ({"cuda.shares": 1001}, "more than one device has"),
        ({"cuda.shares": 1, "cuda.device": 1}, "not both"),
        ({"cpu": 1.5}, "must be text or an integer"),
        ({"cpu": True}, "must be text or an integer"),
        ({"cpu": None}, "must be text or an integer"),
    ],
)
def test_a_bad_request_is_refused_with_a_sentence(slots: dict[str, str | int], says: str) -> None:
    with pytest.raises(InvalidSlots, match=says):
        s.parse_request(slots)


def test_pairs_are_read_as_on_the_command_line() -> None:
    assert {"cpu": "1", "mem": "256MiB"} == s.parse_pairs("cpu=1, mem=256MiB,")
    assert {} == s.parse_pairs("")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu", "NAME=AMOUNT"),
        ("=1", "NAME=AMOUNT"),
        ("cpu=", "NAME=AMOUNT"),
        ("cpu=1,cpu=2", "twice"),
    ],
)
def test_bad_pairs_are_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidSlots, match=says):
        s.parse_pairs(text)


def test_a_capacity_names_each_device() -> None:
    """W4."""
    capacity, models = s.parse_capacity("cpu=4,mem=8GiB,cuda=2:V100,rocm=1")

    assert {"cpu": 4000, "mem": 8192, "cuda.0": 1000, "cuda.1": 1000, "rocm.0": 1000} == capacity
    assert {"cuda": "V100"} == models


@pytest.mark.parametrize(
    "text", ["", "cuda=0", "cuda=65", "cuda=x", "cuda=-1", "cuda=²", "cuda.0=1", "CUDA=1", "cpu=0"]
)
def test_a_bad_capacity_is_refused(text: str) -> None:
    with pytest.raises(InvalidSlots):
        s.parse_capacity(text)


@pytest.mark.parametrize(
    ("request_", "free", "taken"),
    [
        ({"cpu": 1000}, {"cpu": 1000}, {"cpu": 1000}),
        ({"cpu": 1001}, {"cpu": 1000}, None),
        ({"mem": 1}, {"cpu": 1000}, None),
        ({"cuda.shares": 400}, {"cuda.0": 1000, "cuda.1": 500, "cuda.2": 300}, {"cuda.1": 400}),
        ({"cuda.shares": 400}, {"rocm.0": 1000}, None),
        (
            {"cuda.device": 2},
            {"cuda.0": 999, "cuda.3": 1000, "cuda.10": 1000, "cuda.2": 1000},
            {"cuda.2": 1000, "cuda.3": 1000},
        ),
        ({"cuda.device": 2}, {"cuda.0": 999, "cuda.1": 1000}, None),
        ({}, {}, {}),
    ],
)
def test_a_request_becomes_device_slots(
    request_: dict[str, int], free: dict[str, int], taken: dict[str, int] | None
) -> None:
    assert taken == s.allocate(request_, free)


def fits(request: dict[str, int], free: dict[str, int]) -> bool:
    """The same question by trying everything."""
    for name, amount in request.items():
        family, dot, kind = name.partition(".")
        rooms = [room for slot, room in free.items() if slot.startswith(f"{family}.")]
        if not dot and free.get(name, 0) < amount:
            return False
        if kind == "shares" and not any(room >= amount for room in rooms):
            return False
        if kind == "device" and not any(
            min(chosen) >= s.DEVICE for chosen in combinations(rooms, amount)
        ):
            return False
    return True


@given(requests, frees)
def test_a_fit_is_found_whenever_there_is_one_and_never_oversold(
    request: dict[str, int], free: dict[str, int]
) -> None:
    """K10."""
    taken = s.allocate(request, free)

    assert fits(request, free) is (taken is not None)
    if taken is not None:
        assert all(0 < amount <= free[slot] for slot, amount in taken.items())
        assert s.by_family(taken) == {
            name.partition(".")[0]: amount * (s.DEVICE if name.endswith(".device") else 1)
            for name, amount in request.items()
        }
        assert taken == s.allocate(dict(reversed(request.items())), dict(reversed(free.items())))


@given(requests, frees)
def test_what_fits_is_covered_by_the_shape_of_what_is_free(
    request: dict[str, int], free: dict[str, int]
) -> None:
    assert s.covers(s.shape_of_free(free), request) is (s.allocate(request, free) is not None)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 3), min_size=1), max_size=6))
def test_pareto_keeps_the_fewest_shapes_that_cover_all(shapes: list[dict[str, int]]) -> None:
    kept = s.pareto(shapes)

    assert all(any(s.covers(larger, shape) for larger in kept) for shape in shapes)
    assert not any(s.covers(a, b) for a in kept for b in kept if a is not b)
    assert kept == s.pareto(reversed(shapes))


def test_several_kernels_need_sums_but_the_largest_share() -> None:
    assert {"cpu": 3000, "cuda.shares": 600} == s.total(
        [{"cpu": 1000, "cuda.shares": 600}, {"cpu": 2000, "cuda.shares": 400}]
    )


def test_slots_are_shown_with_units() -> None:
    slots = {"cpu": 1500, "mem": 2048, "disk": 100, "cuda.shares": 460}

    assert "cpu=1.5 mem=2GiB disk=100MiB cuda.shares=460" == s.render(slots)


@given(
    st.dictionaries(st.sampled_from(["cpu", "mem", "disk"]), st.integers(1, 999_999), min_size=1)
)
def test_what_is_shown_can_be_read_again(slots: dict[str, int]) -> None:
    assert slots == s.parse_request(s.parse_pairs(s.render(slots).replace(" ", ",")))


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("cpu=8", {"cpu": 8000}, "cpu=8"),
        ("mem=32GiB,cpu=1.5", {"mem": 32768, "cpu": 1500}, "cpu=1.5,mem=32GiB"),
        ("cpu=500m,disk=1TiB", {"cpu": 500, "disk": 1048576}, "cpu=0.5,disk=1024GiB"),
        ("cuda=2,rocm=0.25", {"cuda": 2000, "rocm": 250}, "cuda=2,rocm=0.25"),
        ("cpu=0,mem=0", {"cpu": 0, "mem": 0}, "cpu=0,mem=0MiB"),
        ("cpu=0.0009,mem=0.9", {"cpu": 0, "mem": 0}, "cpu=0,mem=0MiB"),
        ("cpu=123456.789", {"cpu": 123_456_789}, "cpu=123456.789"),
    ],
)
def test_limits_are_read_by_family_and_rounded_down(
    text: str, expected: dict[str, int], shown: str
) -> None:
    found = s.parse_limits(text)

    assert expected == found
    assert shown == ",".join(f"{f}={s.render_family(f, found[f])}" for f in sorted(found))
    assert expected == s.parse_limits(shown)
