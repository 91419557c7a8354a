"""The tree of errors: each is a sentence with its facts, and the printed tree is the real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import Formatter

import pytest

from scheduler.domain import errors
from scheduler.domain.errors import SchedulerError, WrongState


def family(kind: type[SchedulerError]) -> Iterator[type[SchedulerError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


CLASSES = list(family(SchedulerError))


def facts_of(kind: type[SchedulerError]) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(kind.__doc__ or "") if name}


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_a_sentence_with_its_facts(kind: type[SchedulerError]) -> None:
    facts = {name: f"<{name}>" for name in facts_of(kind)}

    error = kind(**facts)

    assert facts == error.facts
    assert "{" not in str(error)
    assert all(fact in str(error) for fact in facts.values())
    assert re.match(r"[A-Z<]", str(error))


@pytest.mark.parametrize("kind", CLASSES)
def test_facts_may_hold_braces(kind: type[SchedulerError]) -> None:
    assert "{x}" in str(kind(**dict.fromkeys(facts_of(kind), "{x}"))) or not facts_of(kind)


def test_a_missing_fact_is_noticed() -> None:
    with pytest.raises(KeyError, match="allowed"):
        WrongState(session="s", state="RUNNING", verb="retry")


def test_the_printed_tree_is_the_real_one() -> None:
    printed: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^((?:[|` ]   |\|-- |`-- )*)(\w+Error|[A-Z]\w+)(?:  |$)", line)
        if not found:
            continue
        depth = len(found[1]) // 4
        path[depth:] = [found[2]]
        printed[found[2]] = path[depth - 1] if depth else "Exception"

    assert printed == {kind.__name__: kind.__base__.__name__ for kind in CLASSES if kind.__base__}


def test_every_class_of_the_module_is_in_the_tree() -> None:
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, SchedulerError)
    }

    assert defined == set(CLASSES)
