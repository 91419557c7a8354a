"""Whose part of a group: what an owner holds now, measured against what its agents have."""

from __future__ import annotations

from collections.abc import Mapping


def dominant_share(held: Mapping[str, int], capacity: Mapping[str, int]) -> float:
    """The largest part of any family that is held, 0 to 1; what no agent has any more does not count."""
    return max(
        (amount / capacity[family] for family, amount in held.items() if capacity.get(family)),
        default=0.0,
    )
