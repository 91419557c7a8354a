"""Every word of every header is reached on every server, and a repeated call changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.domain import moves
from scheduler.store.keys import Keys
from scheduler.store.script import LUA_ROOT
from tests.unit.store.lives import GROUP, NOBODY, OTHER, Recorder, World, contents
from tests.unit.store.words import CASES, GOES_ON, MAY_GROW, REPEATS, reach

each_word = pytest.mark.parametrize(("script", "word"), CASES, ids=lambda part: part)


def words_of_headers() -> Iterator[tuple[str, str]]:
    """(script, word) of each @reply and @item."""
    for path in sorted(LUA_ROOT.rglob("*.lua")):
        name = path.relative_to(LUA_ROOT).with_suffix("").as_posix()
        for line in re.findall(r"^-- @(?:reply|item)\s+(.+)$", path.read_text(), re.MULTILINE):
            yield from ((name, word.strip()) for word in line.split("|"))


def test_each_word_of_each_header_has_a_case() -> None:
    assert sorted(words_of_headers()) == sorted(CASES)


@each_word
def test_a_word_is_reached_and_a_repeat_is_harmless(
    world: World, recorder: Recorder, script: str, word: str
) -> None:
    """K14."""
    reach(world, CASES[script, word])
    last = recorder.calls[-1]
    assert (script, word) in last.words

    ignored = [key_named(world.keys, name) for name in MAY_GROW.get((script, word), ())]
    before = contents(world.client, without=ignored)
    last.script(world.client, world.keys.root, **last.values)

    assert (script, word) in GOES_ON or before == contents(world.client, without=ignored)
    assert REPEATS.get((script, word), word) == dict(recorder.calls[-1].words)[script]


def key_named(page: Keys, name: str) -> str:
    """The key of this test's world that a method of the page makes."""
    given: dict[str, Any] = {
        "inbox": (GROUP,),
        "reports": (GROUP,),
        "leadership": (GROUP,),
        "graphs_loading": (GROUP,),
        "beat": ("a1",),
        "log": ("a1", f"{NOBODY}-0-{OTHER}"),
    }
    return str(getattr(page, name)(*given.get(name, ())))


@pytest.mark.parametrize("name", sorted(path.stem for path in (LUA_ROOT / "move").glob("*.lua")))
def test_a_move_is_what_its_header_says(name: str) -> None:
    """The fields of the Python class, the @op line of the script."""
    header = (LUA_ROOT / f"move/{name}.lua").read_text()
    said = re.search(r"^-- @op\s+((?:.*\n)(?:--     .*\n)*)", header, re.MULTILINE)
    assert said
    text = re.sub(
        r"\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]",
        "",
        re.sub(r"\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]", "", said[1]),
    )
    fields = {field.strip(" \n-") for field in text.split(",")}

    assert fields == set(getattr(moves, name.capitalize()).__slots__)
