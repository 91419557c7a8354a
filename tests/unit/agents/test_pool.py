"""Warm children: who may run what, who stays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agents.pool import Pool, PoolLimits


def host(keypair: str | None = None) -> Any:
    return SimpleNamespace(
        keypair=keypair, idle_since_ns=0, served=0, dying=False, took_us=1_000_000
    )


def kernel(keypair: str = "") -> Any:
    def goes_with(other: object) -> bool:
        return other is not None

    order = SimpleNamespace(keypair=keypair)
    return SimpleNamespace(order=order, waits_since_ns=0, goes_with=goes_with, has_own_host=False)


def pool(idle: int = 2) -> Pool:
    return Pool(PoolLimits(idle=idle, idle_ns=100, surplus_ns=10, kernels=3))


def test_a_used_child_serves_its_keypair_only() -> None:
    children = pool()
    used = host("k1")
    children.park(used, 1)

    assert children.take_idle("k2") is None
    assert used is children.take_idle("k1")
    assert children.take_idle("k1") is None


def test_a_child_that_dies_while_it_is_idle_gets_nothing() -> None:
    """Between the kill and its burial it looks like any other."""
    children = pool()
    living, dying = host("k1"), host("k1")
    children.park(living, 1)
    children.park(dying, 2)
    dying.dying = True

    assert living is children.take_idle("k1")
    assert children.take_idle("k1") is None


def test_sessions_without_a_keypair_share_children_of_their_own() -> None:
    children = pool()
    children.park(host("k1"), 1)
    nobodys = host("")
    children.park(nobodys, 1)

    assert nobodys is children.take_idle("")


def test_a_fresh_child_belongs_to_whoever_comes_first() -> None:
    children = pool()
    fresh = host()
    children.park(fresh, 1)

    assert children.has_fresh()
    assert fresh == children.take_idle("k1")
    assert "k1" == fresh.keypair


def test_who_waits_longest_is_served_first() -> None:
    children = pool()
    first, second, other = kernel("k1"), kernel("k1"), kernel("k2")
    for each in (first, second, other):
        children.wait(each, 1)
    used, fresh = host("k1"), host()
    children.park(used, 1)
    assert [(used, [first])] == list(children.groups())
    children.park(fresh, 1)
    children.park(used, 2)

    assert [(used, [second]), (fresh, [other])] == list(children.groups())


@pytest.mark.parametrize(("took_us", "together"), [(100, 3), (700, 2), (1_500, 1), (5_000, 1)])
def test_a_child_gets_as_many_at_once_as_it_is_soon_done_with(took_us: int, together: int) -> None:
    children = pool()
    used, kernels = host("k1"), [kernel("k1") for _ in range(5)]
    used.took_us = took_us
    for each in kernels:
        children.wait(each, 1)
    children.park(used, 1)

    assert [(used, kernels[:together])] == list(children.groups())


def test_what_was_taken_back_waits_before_all_others() -> None:
    children = pool()
    first, second, used = kernel("k1"), kernel("k1"), host("k1")
    children.wait(second, 1)
    children.wait_first(first)
    children.park(used, 1)

    assert [(used, [first])] == list(children.groups())


def test_too_many_idle_children_lose_the_oldest() -> None:
    children = pool(idle=2)
    hosts = [host(f"k{index}") for index in range(3)]

    for now, each in enumerate(hosts):
        children.park(each, now)

    assert [] == children.expired(10)
    assert [hosts[0]] == children.expired(11)


def test_children_nobody_needs_go_but_a_fresh_one_stays() -> None:
    children = pool()
    fresh, used = host(), host("k1")
    children.park(fresh, 0)
    children.park(used, 0)

    assert [] == children.expired(100)
    assert [used] == children.expired(101)
    assert children.has_fresh()


def test_a_kernel_that_is_stopped_waits_no_more() -> None:
    children = pool()
    stopped = kernel()
    children.wait(stopped, 5)

    assert children.more_wait_than(0, 5)
    assert not children.more_wait_than(0, 4)
    assert children.forget(stopped)
    assert not children.forget(stopped)
    assert not children.more_wait_than(0, 5)


def test_a_child_is_worn_out_after_some_kernels() -> None:
    old = host()
    old.served = 3

    assert pool().worn_out(old)
    assert not pool().worn_out(host())
