"""Scripts that follow each other over one connection: in order, each with its own answer, or lost together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from scheduler.store.script import Line, Script, Sent

_NOTE = """-- Note a word.
-- @arg word str
-- @reply noted
redis.call('RPUSH', ns, word)
return { 'noted', word }
"""
_BREAK = """-- Answer with an error.
-- @arg word str
-- @reply noted
return redis.error_reply('BROKEN ' .. word)
"""


@pytest.fixture
def scripts(tmp_path: Path, each_redis: redis.Redis) -> Iterator[tuple[Script, Script]]:
    """One that notes words, and one that is broken; Redis knows both."""
    (tmp_path / "note.lua").write_text(_NOTE)
    (tmp_path / "broken.lua").write_text(_BREAK)
    note, broken = (Script.load(name, root=tmp_path) for name in ("note", "broken"))
    for script in (note, broken):
        each_redis.script_load(script.source)
    yield note, broken
    each_redis.delete("words")
    each_redis.connection_pool.disconnect()


def send(line: Line, script: Script, *words: str) -> list[Sent]:
    return [line.send(script, script.pack("words", word=word)) for word in words]


def test_each_has_its_own_answer_in_whatever_order_they_are_asked(
    each_redis: redis.Redis, scripts: tuple[Script, Script]
) -> None:
    """F4."""
    one, two, three = send(Line(each_redis), scripts[0], "one", "two", "three")

    assert two.answer() == ["noted", "two"]
    assert [one.answer(), three.answer()] == [["noted", "one"], ["noted", "three"]]
    assert each_redis.lrange("words", 0, -1) == ["one", "two", "three"]


def test_an_error_is_its_own_and_nobody_elses(
    each_redis: redis.Redis, scripts: tuple[Script, Script]
) -> None:
    """F4: what follows it on the connection has run."""
    note, broken = scripts
    line = Line(each_redis)
    (one,), (two,) = send(line, broken, "one"), send(line, note, "two")

    with pytest.raises(ResponseError, match="BROKEN one"):
        one.answer()
    assert two.answer() == ["noted", "two"]
    assert send(line, note, "three")[0].answer() == ["noted", "three"]


def test_scripts_that_redis_forgot_are_run_in_their_order(
    each_redis: redis.Redis, scripts: tuple[Script, Script]
) -> None:
    """F4."""
    each_redis.script_flush()
    one, two = send(Line(each_redis), scripts[0], "one", "two")

    assert one.answer() == ["noted", "one"]
    assert two.answer() == ["noted", "two"]
    assert each_redis.lrange("words", 0, -1) == ["one", "two"]


def test_what_is_given_up_is_not_run_again(
    each_redis: redis.Redis, scripts: tuple[Script, Script]
) -> None:
    """F4: where Redis did not know the script, it has not run, and does not."""
    each_redis.script_flush()
    (one,) = send(Line(each_redis), scripts[0], "one")

    one.give_up()

    assert not each_redis.exists("words")


def test_with_the_connection_all_that_is_under_way_is_lost(
    each_redis: redis.Redis, scripts: tuple[Script, Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F4: and what is sent afterwards reads no answer of theirs."""

    def reset(*_: Any, **__: Any) -> None:
        raise RedisConnectionError("reset by peer")

    line = Line(each_redis)
    one, two = send(line, scripts[0], "one", "two")
    with monkeypatch.context() as broken:
        broken.setattr(line._connection, "read_response", reset)
        for lost, why in ((one, "reset by peer"), (two, "it broke before")):
            with pytest.raises(RedisConnectionError, match=why):
                lost.answer()
            lost.give_up()

    assert send(line, scripts[0], "three")[0].answer() == ["noted", "three"]
