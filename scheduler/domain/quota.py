"""Limits in words: which slots of a scope are exceeded and by how much, the same wherever it is said."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.domain.scope import NO_LIMITS, OtherSlots, Scope, ScopeLimits, ScopeUse
from scheduler.domain.slots import render_family
from scheduler.domain.verdict import Excess


def over_slots(use: ScopeUse, asked: Mapping[str, int]) -> str:
    """The slots of a scope that are exceeded when a session holds what it asks, too; "" where none is.

    Any slot is enough. A user whose main keypair has no limits has no policy, which admits nobody.
    """
    limits = use.limits
    policy = use.main if limits.main_keypair else limits
    if policy is None:
        return f"its main keypair {use.limits.main_keypair} has no limits, and so no policy"
    if not policy.max_slots or _within(policy, use.slots, asked):
        return ""
    most = {family: policy.of_slot(family) for family in asked}
    return _exceeded(("used", use.slots), asked, most)


def _within(policy: ScopeLimits, held: Mapping[str, int], asked: Mapping[str, int]) -> bool:
    """Whether nothing is exceeded: asked of each scope for each placement, mostly with that answer."""
    limits = policy.max_slots
    for family, amount in asked.items():
        limit = limits.get(family)
        if limit is None:
            limit = policy.other_slots  # rarely: most limits name what is asked
        if limit is not None and held.get(family, 0) + amount > limit:
            return False
    return True


def over_pending_slots(use: ScopeUse, asked: Mapping[str, int]) -> str:
    """The slots of a scope that are exceeded when a session waits, too; "" where none is."""
    return _exceeded(("pending", use.pending_slots), asked, use.limits.max_pending_slots)


def _exceeded(
    has: tuple[str, Mapping[str, int]], asked: Mapping[str, int], limits: Mapping[str, int | None]
) -> str:
    word, amounts = has
    found = []
    for family in sorted(asked):
        limit, held = limits.get(family), amounts.get(family, 0)
        if limit is None or held + asked[family] <= limit:
            continue
        numbers = (held, asked[family], limit, held + asked[family] - limit)
        words = zip((word, "requested", "limit", "over by"), numbers, strict=True)
        found.append(
            f"{family} "
            + ", ".join(f"{name} {render_family(family, number)}" for name, number in words)
        )
    return "; ".join(found)


def pending_count_refusal(uses: Mapping[Scope, ScopeUse]) -> tuple[str, list[Scope]]:
    """What is said where no more sessions may wait, and which scopes say it; "" where none does.

    Those that wait are the others: one that waits already must not be counted against itself.
    """
    full = {
        scope: use
        for scope, use in uses.items()
        if use.limits.max_pending_sessions is not None
        and use.pending >= use.limits.max_pending_sessions
    }
    if not full:
        return "", []
    limit = next(iter(full.values())).limits.max_pending_sessions
    found = named(
        {
            scope: f"{use.pending} of {use.limits.max_pending_sessions} pending"
            for scope, use in full.items()
        }
    )
    return f"You cannot create more than {limit} pending session(s). {found}", [*full]


def pending_slots_refusal(
    uses: Mapping[Scope, ScopeUse], asked: Mapping[str, int]
) -> tuple[str, list[Scope]]:
    """The same for the slots that sessions may wait for."""
    over = {scope: said for scope, use in uses.items() if (said := over_pending_slots(use, asked))}
    if not over:
        return "", []
    return f"Your pending session quota is exceeded. {named(over)}", [*over]


def all_over_slots(uses: Mapping[Scope, ScopeUse], asked: Mapping[str, int]) -> dict[Scope, str]:
    """The scopes of which slots are exceeded when a session holds what it asks, too; and which slots."""
    over: dict[Scope, str] = {}
    for scope, use in uses.items():
        limits = use.limits
        # The usual answers first, without a word: five scopes are asked for each placement.
        if limits is NO_LIMITS or not (limits.main_keypair or limits.max_slots):
            continue
        if not limits.main_keypair and _within(limits, use.slots, asked):
            continue
        if said := over_slots(use, asked):
            over[scope] = said
    return over


def excesses_of(uses: Mapping[Scope, ScopeUse], asked: Mapping[str, int]) -> list[Excess]:
    """The numbers of every slot of every scope that is exceeded."""
    return [
        Excess(f"{scope} {family}", use.slots.get(family, 0), amount, limit, family)
        for scope, use in uses.items()
        for family, amount in sorted(asked.items())
        if use.policy is not None
        and (limit := use.policy.of_slot(family)) is not None
        and use.slots.get(family, 0) + amount > limit
    ]


def asks_too_much(use: ScopeUse, asked: Mapping[str, int]) -> bool:
    """Whether a session exceeds what a scope may hold even where nothing else holds it."""
    policy = use.policy
    return policy is None or not _within(policy, {}, asked)


def named(over: Mapping[Scope, str]) -> str:
    """The parenthesis of a refusal: each scope with what is exceeded there."""
    return "(" + "; ".join(f"{scope}: {said}" for scope, said in over.items()) + ")"


def described(limits: ScopeLimits) -> str:
    """All limits of a scope in one line; "unlimited" where there are none."""
    parts = [
        "" if limits.max_sessions is None else f"{limits.max_sessions} sessions",
        _slots_of("slots", limits.max_slots),
        "no other slots"
        if limits.max_slots and limits.unspecified_slots is OtherSlots.ZERO
        else "",
        "" if limits.max_pending_sessions is None else f"{limits.max_pending_sessions} pending",
        _slots_of("pending slots", limits.max_pending_slots),
        f"slots as keypair {limits.main_keypair}" if limits.main_keypair else "",
    ]
    return ", ".join(filter(None, parts)) or "unlimited"


def _slots_of(what: str, slots: Mapping[str, int]) -> str:
    amounts = [f"{family} {render_family(family, slots[family])}" for family in sorted(slots)]
    return f"{what} {' '.join(amounts)}" if amounts else ""
