"""Checks of values that come as JSON: nothing is converted, and what is wrong is one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import shown
from scheduler.domain.spelling import meant


def mapping(name: str, value: object) -> Mapping[str, Any]:
    """An object. Raises InvalidSetting."""
    if not isinstance(value, Mapping):
        raise wrong(name, f"it must be an object, got {shown(value)}")
    return value


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number within bounds. Raises InvalidSetting."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise wrong(name, f"it must be a whole number from {least} to {most}, got {shown(value)}")
    return value


def number(name: str, value: object, least: int, most: int) -> float:
    """A number within bounds. Raises InvalidSetting."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # type: ignore[operator]
        raise wrong(name, f"it must be a number from {least} to {most}, got {shown(value)}")
    return float(value)  # type: ignore[arg-type]


def known(name: str, found: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse fields that are none. Raises InvalidSetting."""
    for field_name in found:
        if field_name not in values:
            raise wrong(
                name, f"there is no field {shown(field_name)}; {meant(str(field_name), values)}"
            )


def wrong(name: str, problem: str) -> InvalidSetting:
    """What is wrong with a setting."""
    return InvalidSetting(name=name, problem=problem)
