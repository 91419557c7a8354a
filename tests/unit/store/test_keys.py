"""One page of keys: Lua's functions are Python's, and each agent's keys lie in one place."""

from __future__ import annotations

import inspect
import re
from typing import Any, cast

import pytest
import redis

from scheduler.store.keys import Keys, lua_functions, lua_written_out
from scheduler.store.script import LUA_ROOT
from tests.conftest import patterns, strangers

METHODS = sorted(
    name for name, method in vars(Keys).items() if inspect.isfunction(method) and name[0] != "_"
)
VALUES = ["abc", "a b'c\"d\\e", "%1", "ключ", "a:b"]


def arity(name: str) -> int:
    return len(inspect.signature(getattr(Keys, name)).parameters) - 1


@pytest.mark.parametrize("name", METHODS)
def test_lua_makes_the_same_key(redis_client: redis.Redis, keys: Keys, name: str) -> None:
    parameters = [f"ARGV[{index + 2}]" for index in range(arity(name))]
    call = f"return keys.{name}({', '.join(parameters)})"
    code = f"local ns = ARGV[1]\n{lua_functions({name})}\n{call}"
    inline = f"local ns = ARGV[1]\n{lua_written_out(call)}"
    assert "keys." not in inline

    for value in VALUES:
        given = [f"{value}{index}" for index in range(arity(name))]
        found = cast("Any", redis_client).eval(code, 0, keys.root, *given)

        assert getattr(keys, name)(*given) == found
        assert found == cast("Any", redis_client).eval(inline, 0, keys.root, *given)


def test_only_what_is_used_is_defined() -> None:
    assert [
        "local keys = {}",
        "function keys.events() return ns .. ':events' end",
    ] == lua_functions({"events"}).split("\n")


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("x(keys.beat(agent), 1)", "x((ns .. ':agent:' .. agent .. ':beat'), 1)"),
        ("keys.state(op.group, 'READY')", "(ns .. ':group:' .. op.group .. ':state:' .. 'READY')"),
        ("keys.beat(a or b)", "keys.beat(a or b)"),
        ("keys.beat(of(agent))", "keys.beat(of(agent))"),
        ("keys.beat()", "keys.beat()"),
    ],
)
def test_only_plain_calls_are_written_out(call: str, written: str) -> None:
    """Of anything else it is not certain that it means the same between two other parts."""
    assert written == lua_written_out(call)


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_such_key"):
        lua_functions({"no_such_key"})


@pytest.mark.parametrize("name", ["beat", "orders", "stops", "claims", "log"])
def test_an_agents_own_keys_lie_below_its_name(name: str) -> None:
    """So that an ACL of ~ns:agent:ID:* can hold an agent to its own."""
    key = getattr(Keys("ns"), name)(*["a1", "order"][: arity(name)])

    assert key.startswith("ns:agent:a1:")


def test_no_other_key_lies_below_an_agents_name() -> None:
    own = {"beat", "orders", "stops", "claims", "log"}

    assert own == {
        name
        for name in METHODS
        if getattr(Keys("ns"), name)(*["x"] * arity(name)).startswith("ns:agent:")
    }


def test_what_agents_run_writes_its_own_keys_reports_and_nothing_else() -> None:
    """Beside its reads of its record, and the RQ job that goes with an order."""
    written = re.compile(
        r"redis\.call\('(?:SET|HSET|HDEL|DEL|INCR|XADD|EXPIRE|RPUSH|SADD|ZADD)', keys\.(\w+)\("
    )
    allowed = {"beat", "orders", "stops", "claims", "log", "reports", "rq_job"}
    for name in ("claim", "report", "beat", "log"):
        assert set(written.findall((LUA_ROOT / f"agent/{name}.lua").read_text())) <= allowed


def test_two_keys_are_never_the_same() -> None:
    keys = [getattr(Keys("ns"), name)(*["x"] * arity(name)) for name in METHODS]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", METHODS)
def test_each_key_says_what_it_is(name: str) -> None:
    said = inspect.getdoc(getattr(Keys, name)) or ""

    assert said.split(",")[0].split()[0] in {
        "hash",
        "string",
        "set",
        "zset",
        "list",
        "stream",
        "pub/sub",
        "not",
    }


def test_the_leak_checker_knows_strangers() -> None:
    page = Keys("ns")

    assert [] == strangers(
        page, [page.session("s"), page.rq_job("o"), page.lock("g"), "other:thing"]
    )
    assert ["ns:sesion:s", "rq:wip"] == strangers(page, ["ns:sesion:s", "rq:wip", page.events()])
    assert len(METHODS) == len(patterns(page))


def test_no_lua_file_spells_a_key() -> None:
    spelled = {
        path.name: [
            line for line in path.read_text().splitlines() if "'rq:" in line or "ns .." in line
        ]
        for path in LUA_ROOT.rglob("*.lua")
    }

    assert {} == {name: lines for name, lines in spelled.items() if lines}
