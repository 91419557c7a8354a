"""What every scheduler keeps, whoever waits: orders, shares and bands, over whole cycles."""

from __future__ import annotations

from collections import Counter
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.order import order_of
from scheduler.cycle.scheduler import propose
from scheduler.cycle.sequencers.drf import DrfScheduler
from scheduler.cycle.sequencers.fair_share import FairShareScheduler
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.sequencers.lifo import LifoScheduler
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.share import DAY_MS, Usage, Used, dominant_share
from scheduler.plugins.interfaces import AbstractScheduler
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

OWNERS = ("A", "B", "C")
SHAPES = (("1", "1GiB"), ("2", "512MiB"), ("500m", "4GiB"))
#: (owner, shape, priority, ms since when it waits)
SESSIONS = st.lists(
    st.tuples(
        st.sampled_from(OWNERS),
        st.integers(0, len(SHAPES) - 1),
        st.sampled_from([0, 10, 11, 100]),
        st.integers(0, 50),
    ),
    max_size=40,
)
AGEING = st.sampled_from([0, 1, 7])
LIMITS = st.integers(1, 60)
PLUGINS = st.sampled_from([FifoScheduler, LifoScheduler, DrfScheduler, FairShareScheduler])
ROOMY = [agent("a", 1_000_000, free={"cpu": 1_000_000, "mem": 1_000_000})]

Asked = list[tuple[str, int, int, int]]


def sessions_of(asked: Asked) -> list[WaitingSession]:
    """In the order of submission, which is that of the time they wait since."""
    ordered = sorted(asked, key=lambda one: one[3])
    return [
        waiting(
            request(SHAPES[shape][0], mem=SHAPES[shape][1], keypair=owner),
            priority=priority,
            seq=seq,
            since=since,
        )
        for seq, (owner, shape, priority, since) in enumerate(ordered)
    ]


def cycle(
    asked: Asked, scheduler: AbstractScheduler, limit: int, now_ms: int = 0
) -> tuple[Snapshot, list[WaitingSession]]:
    """Plans of so many kernels until nothing is left; who was placed, in order."""
    made = snapshot(ROOMY, sessions_of(asked), scheduler)
    made.now_ms = now_ms
    placed: list[WaitingSession] = []
    while True:
        plan = propose(made, policy(scheduler=scheduler, validators=()), limit=limit)
        placed += [placement.session for placement in plan.placements]
        if not plan.more:
            return made, placed


@given(SESSIONS, PLUGINS, LIMITS, AGEING)
def test_all_bands_are_served_and_everybody_once(
    asked: Asked, plugin: type[AbstractScheduler], limit: int, ageing: int
) -> None:
    """K2: only the top band scheduled is a mistake we do not repeat."""
    _, placed = cycle(asked, plugin({"ageing": f"{ageing}ms"} if ageing else {}), limit, now_ms=60)

    assert len(asked) == len({session.id for session in placed}) == len(placed)


@given(SESSIONS, PLUGINS, LIMITS)
def test_a_lower_priority_never_goes_first(
    asked: Asked, plugin: type[AbstractScheduler], limit: int
) -> None:
    """K2: in a cycle in which all find room."""
    _, placed = cycle(asked, plugin({}), limit)

    assert sorted(placed, key=lambda session: -session.priority) == placed


@given(SESSIONS, PLUGINS, LIMITS, st.integers(1, 9), st.integers(50, 500))
def test_only_waiting_puts_a_lower_priority_first(
    asked: Asked, plugin: type[AbstractScheduler], limit: int, ageing: int, now_ms: int
) -> None:
    """K2: one that goes first with less priority waits for so many durations longer."""
    _, placed = cycle(asked, plugin({"ageing": f"{ageing}ms"}), limit, now_ms=now_ms)

    for index, first in enumerate(placed):
        for later in placed[index + 1 :]:
            lead = later.priority - first.priority
            # Steps are counted from the clock, not from each session: one of them may be missing.
            assert later.waiting_since - first.waiting_since > (lead - 1) * ageing or lead <= 0


@given(SESSIONS, LIMITS)
def test_fifo_is_the_order_of_submission_within_a_band(asked: Asked, limit: int) -> None:
    """K2."""
    _, placed = cycle(asked, FifoScheduler({}), limit)

    assert sorted(placed, key=lambda s: (-s.priority, s.seq)) == placed


@given(SESSIONS, LIMITS)
def test_lifo_is_fifo_reversed_within_a_band(asked: Asked, limit: int) -> None:
    """K2."""
    _, placed = cycle(asked, LifoScheduler({}), limit)

    assert sorted(placed, key=lambda s: (-s.priority, -s.seq)) == placed


@given(st.lists(st.tuples(st.sampled_from(OWNERS), st.integers(0, 2)), max_size=60))
def test_drf_shares_are_within_one_session_of_equal(asked: list[tuple[str, int]]) -> None:
    """K2: whoever got more than another with sessions left, got it with one session."""
    scheduler = DrfScheduler({})
    made = snapshot(ROOMY, sessions_of([(o, shape, 10, 0) for o, shape in asked]), scheduler)
    left = Counter(owner for owner, _ in asked)
    capacity = made.agents.total_capacity
    most: dict[str, float] = dict.fromkeys(OWNERS, 0.0)
    for _ in asked:
        plan = propose(made, policy(scheduler=scheduler, validators=()), limit=1)
        session = plan.placements[0].session
        left[session.request.owner] -= 1
        largest = dominant_share(session.request.families, capacity)
        most[session.request.owner] = max(most[session.request.owner], largest)

        share = {o: dominant_share(made.held.get(o, {}), capacity) for o in OWNERS}
        for owner in OWNERS:
            for other in OWNERS:
                if left[other]:
                    assert share[owner] <= share[other] + most[owner] + 1e-9


@given(st.integers(1, 20), st.integers(1, 20), LIMITS)
def test_drf_alternates_between_two_owners_of_equal_sessions(a: int, b: int, limit: int) -> None:
    """K2: never AAAAAABB."""
    _, placed = cycle([("A", 0, 10, 0)] * a + [("B", 0, 10, 0)] * b, DrfScheduler({}), limit)

    both = [session.request.owner for session in placed][: 2 * min(a, b)]
    assert ["A", "B"] * min(a, b) == both


USED = st.dictionaries(
    st.integers(0, 30),
    st.dictionaries(st.sampled_from(OWNERS), st.integers(1, 10**12), max_size=3),
    max_size=6,
)


@given(SESSIONS, USED, st.sampled_from(["1d", "7d"]))
def test_under_fair_share_who_used_less_goes_first_within_a_band(
    asked: Asked, used: dict[int, dict[str, int]], half_life: str
) -> None:
    """K2: and an owner without use before all who have any."""
    scheduler = FairShareScheduler({"half_life": half_life})
    now, today = 100 * DAY_MS, 100
    recorded: dict[int, Used] = {
        today - ago: {owner: {"cpu": amount} for owner, amount in owners.items()}
        for ago, owners in used.items()
    }
    made = snapshot(ROOMY, sessions_of(asked), scheduler)
    made.now_ms, made.usage = now, Usage(now, recorded)

    plan = propose(made, policy(scheduler=scheduler, validators=()), limit=100)

    use = {owner: scheduler.use(made.context, owner) for owner in OWNERS}
    picked = [(-p.session.priority, use[p.session.request.owner]) for p in plan.placements]
    assert sorted(picked) == picked
    for owner in OWNERS:
        counted = [ago for ago, owners in used.items() if owner in owners and ago < 28]
        assert bool(counted) is (use[owner] > 0)


@given(PLUGINS, st.integers(1, 5), st.sampled_from([0, 40, 99]), st.sampled_from("AB"))
def test_ageing_bounds_how_long_one_waits_while_others_keep_coming(
    plugin: type[AbstractScheduler], ageing: int, priority: int, others: str
) -> None:
    """K2: one place per ms, for which one more of priority 100 comes each time."""
    scheduler = plugin({"ageing": f"{ageing}ms"})
    numbers = count()

    def one(owner: str, priority: int, now: int) -> WaitingSession:
        return waiting(request(keypair=owner), priority=priority, seq=next(numbers), since=now)

    made = snapshot([agent("a", 1000)], (), scheduler)
    old = one("A", priority, 0)
    made.waiting.add(old)
    steps = 0
    for now in range((102 - priority) * ageing + 2):
        made.now_ms = now
        made.waiting.add(one(others, 100, now))
        made.waiting.wake_all()
        plan = propose(made, policy(scheduler=scheduler, validators=()), limit=1)
        for placement in plan.placements:
            made.agents.give("a", {"cpu": 1000})
            made.hold(placement.session.request, -1)
            if placement.session is old:
                return
        steps += 1
    raise AssertionError(f"it still waits after {steps} ms")


@given(SESSIONS, PLUGINS, LIMITS, AGEING, st.integers(1, 50))
def test_sessions_are_told_the_order_in_which_they_are_tried(
    asked: Asked, plugin: type[AbstractScheduler], first: int, ageing: int, most: int
) -> None:
    """X3: whatever was placed before; and being told changes nothing."""
    scheduler = plugin({"ageing": f"{ageing}ms"} if ageing else {})
    made = snapshot(ROOMY, sessions_of(asked), scheduler)
    made.now_ms = 60
    rules = policy(scheduler=scheduler, validators=())
    propose(made, rules, limit=first)

    told = order_of(made, scheduler, most)
    again = order_of(made, scheduler, most)

    plan = propose(made, rules, limit=1_000)
    assert told == again == [placed.session.id for placed in plan.placements][:most]
