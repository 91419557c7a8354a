"""A warm child's environment: each kernel finds its own variables and nobody else's."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.executors.callables import _Variables

_NAMES = st.sampled_from(["HOME", "KEPT", "A", "B", "C"])
_VARIABLES = st.dictionaries(_NAMES, st.sampled_from(["", "1", "2"]))


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@settings(max_examples=200)
@given(kernels=st.lists(st.tuples(_VARIABLES, _VARIABLES, st.sets(_NAMES)), max_size=5))
def test_each_kernel_finds_its_own_whatever_the_last_one_did(
    kernels: list[tuple[dict[str, str], dict[str, str], set[str]]],
) -> None:
    os.environ.clear()
    os.environ.update(HOME="/", KEPT="yes")
    variables = _Variables()

    for asked, changed, deleted in kernels:
        variables.put_on(asked)
        assert {"HOME": "/", "KEPT": "yes"} | asked == dict(os.environ)
        assert all(os.getenv(name) == value for name, value in asked.items())
        os.environ.update(changed)
        for name in deleted:
            os.environ.pop(name, None)
        variables.restore()


def test_what_can_be_no_variable_leaves_nothing_behind() -> None:
    variables, before = _Variables(), dict(os.environ)

    with pytest.raises(ValueError, match="null"):
        variables.put_on({"A": "1", "B": "a\0b"})
    variables.restore()

    assert before == dict(os.environ)


def test_an_environment_that_was_replaced_is_put_back() -> None:
    variables, ours = _Variables(), os.environ
    variables.put_on({"A": "1"})

    os.environ = {"A": "2"}  # type: ignore[assignment]  # noqa: B003 - what a kernel may do
    variables.restore()
    variables.put_on({"A": "3"})

    assert ours is os.environ
    assert os.environ["A"] == "3"
