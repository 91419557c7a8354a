"""The loader: a header is a signature, includes are checked, replies are words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

from scheduler.domain.errors import ScriptError
from scheduler.store.keys import Keys
from scheduler.store.script import LUA_ROOT, Script

SCRIPTS = sorted(
    path.relative_to(LUA_ROOT).with_suffix("").as_posix()
    for path in LUA_ROOT.rglob("*.lua")
    if path.parent.name not in ("lib", "move")
)


def write(root: Path, name: str, *lines: str) -> None:
    path = root / f"{name}.lua"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_the_header_is_the_signature(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a/b",
        "-- Do it.",
        "--",
        "-- @arg name   str",
        "-- @arg count  int  a number",
        "-- @arg things json",
        "-- @reply done | gone",
        "-- @reply late",
        "return { 'done' }",
    )

    script = Script.load("a/b", root=tmp_path)

    assert {"name": "str", "count": "int", "things": "json"} == script.arguments
    assert {"done", "gone", "late"} == script.replies


def test_arguments_arrive_typed(redis_client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    write(
        tmp_path,
        "a/types",
        "-- @arg name str",
        "-- @arg count int",
        "-- @arg things json",
        "-- @reply done",
        "return { 'done', name .. '!', tostring(count + 1), things[2].x, ns, keys.session('s') }",
        "-- keys.session(s)",
    )
    script = Script.load("a/types", root=tmp_path)

    reply = script(redis_client, keys.root, name="n", count=4, things=[1, {"x": "y"}])

    assert ["done", "n!", "5", "y", keys.root, keys.session("s")] == reply


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "session"),
        ({"session": "s", "more": 1, "other": 2}, "more, other"),
        ({"sesion": "s"}, "sesion, session"),
    ],
)
def test_a_missing_or_unknown_argument_is_named(
    tmp_path: Path, given: dict[str, object], named: str
) -> None:
    write(tmp_path, "a/b", "-- @arg session str", "-- @reply done")
    script = Script.load("a/b", root=tmp_path)

    with pytest.raises(ScriptError, match=f"Script a/b: wrong or missing arguments: {named}"):
        script(redis.Redis(), "ns", **given)


def test_an_include_cycle_is_named(tmp_path: Path) -> None:
    write(tmp_path, "lib/x", "-- @include lib/y")
    write(tmp_path, "lib/y", "-- @include lib/x")
    write(tmp_path, "a/b", "-- @reply done", "-- @include lib/x")

    with pytest.raises(ScriptError, match="lib/x -> lib/y -> lib/x"):
        _ = Script.load("a/b", root=tmp_path).source


def test_a_file_that_includes_itself_is_a_cycle(tmp_path: Path) -> None:
    write(tmp_path, "a/b", "-- @reply done", "-- @include a/b")

    with pytest.raises(ScriptError, match="a/b -> a/b"):
        _ = Script.load("a/b", root=tmp_path).source


def test_an_include_comes_once_and_before_its_users(tmp_path: Path) -> None:
    write(tmp_path, "lib/base", "local base = 1")
    write(tmp_path, "lib/left", "-- @include lib/base", "local left = base")
    write(tmp_path, "lib/right", "-- @include lib/base", "local right = base")
    write(
        tmp_path,
        "a/b",
        "-- @reply done",
        "-- @include lib/left",
        "-- @include lib/right",
        "return { 'done' }",
    )

    source = Script.load("a/b", root=tmp_path).source

    assert 1 == source.count("local base = 1")
    assert source.index("local base") < source.index("local left") < source.index("return")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["-- @reply done", "-- @include lib/nothing"], "there is no lib/nothing.lua"),
        (["return 1"], "names no @reply"),
    ],
)
def test_a_broken_file_is_refused_when_it_is_used(
    redis_client: redis.Redis, keys: Keys, tmp_path: Path, lines: list[str], says: str
) -> None:
    write(tmp_path, "a/b", *lines)

    with pytest.raises(ScriptError, match=says):
        Script.load("a/b", root=tmp_path)(redis_client, keys.root)


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"Script no/such: there is no no/such\.lua"):
        Script.load("no/such", root=tmp_path).pack("ns")


@pytest.mark.parametrize("code", ["return { 'other' }", "return 'other'", "return {}", "return 7"])
def test_an_undocumented_reply_is_refused(
    redis_client: redis.Redis, keys: Keys, tmp_path: Path, code: str
) -> None:
    write(tmp_path, "a/b", "-- @reply done", code)

    with pytest.raises(ScriptError, match="which its header does not name"):
        Script.load("a/b", root=tmp_path)(redis_client, keys.root)


def test_a_single_word_is_a_reply(redis_client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    write(tmp_path, "a/b", "-- @reply done", "return 'done'")

    assert ["done"] == Script.load("a/b", root=tmp_path)(redis_client, keys.root)


def test_a_flushed_script_is_sent_again(
    redis_client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    write(tmp_path, "a/b", "-- @reply done", "return { 'done' }")
    script = Script.load("a/b", root=tmp_path)
    assert ["done"] == script(redis_client, keys.root)

    redis_client.script_flush()

    assert ["done"] == script(redis_client, keys.root)
    assert [True] == [bool(found) for found in redis_client.script_exists(script.sha)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_loads_and_its_header_is_complete(name: str) -> None:
    script = Script.load(name)
    header = re.match(r"(?:--.*\n)+", (LUA_ROOT / f"{name}.lua").read_text())

    assert header
    assert re.match(r"-- [A-Z`].+", header[0]), "it begins with its purpose"
    assert script.replies


def test_every_library_and_move_is_included_somewhere() -> None:
    included = {
        name
        for path in LUA_ROOT.rglob("*.lua")
        for name in re.findall(r"^-- @include\s+(\S+)", path.read_text(), re.MULTILINE)
    }
    known = {
        path.relative_to(LUA_ROOT).with_suffix("").as_posix()
        for folder in ("lib", "move")
        for path in (LUA_ROOT / folder).glob("*.lua")
    }

    assert known == included


def test_every_script_that_code_names_is_there() -> None:
    """They are read when they are first used, which may be in a year."""
    named = {
        name
        for path in LUA_ROOT.parents[1].rglob("*.py")
        for name in re.findall(r"Script\.load\(\"(.+?)\"\)", path.read_text())
    }

    assert len(named) > 50
    assert named <= set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_compiles_on_every_server(redis_client: redis.Redis, name: str) -> None:
    """Lua allows 200 locals and 60 upvalues; a script that grew past that fails here."""
    script = Script.load(name)

    assert script.sha == redis_client.script_load(script.source)
