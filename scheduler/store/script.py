"""Loads Lua scripts: the header of a file is its signature, includes are checked, replies are words.

A script begins with its contract::

    -- Start an attempt ...
    -- @arg   session  str
    -- @arg   ops      json
    -- @reply claimed | gone
    -- @include lib/move

The loader turns ``@arg`` into typed locals, puts the key page, the life tables and each include in
front once, and refuses a call whose arguments or whose reply the header does not name. An include
that puts writes off to the end of the script names the function that does them: ``@flush function``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import orjson
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from scheduler.domain.errors import ScriptError
from scheduler.domain.share import DAY_MS, KEPT_DAYS
from scheduler.domain.states import (
    FINAL,
    KERNEL_LIFE,
    SESSION_LIFE,
    STOP_STRENGTH,
    WAITING,
    Edge,
    SessionState,
)
from scheduler.store.keys import lua_functions, lua_written_out

LUA_ROOT: Final = Path(__file__).parent / "lua"

_ARG = re.compile(r"^-- @arg\s+(\w+)\s+(str|int|json)\b", re.MULTILINE)
_REPLY = re.compile(r"^-- @reply\s+(.+)$", re.MULTILINE)
_INCLUDE = re.compile(r"^-- @include\s+(\S+)\s*$", re.MULTILINE)
_KEYS = re.compile(r"keys\.(\w+)\(")
_FLUSH = re.compile(r"^-- @flush\s+(\w+)\s*$", re.MULTILINE)
#: What was put off is written however a script ends: after an error, too, since Redis keeps what was
#: written before it. One flush that fails keeps no other from being tried.
_FLUSHED = """local function script()
{body}
end
local ended, reply = pcall(script)
for _, flush in ipairs({{ {flushes} }}) do
    local done, why = pcall(flush)
    if ended and not done then ended, reply = false, why end
end
if not ended then error(reply, 0) end
return reply"""
#: A script's arguments, made ready.
Packed = Sequence[Any]
_READ = {"str": "ARGV[{}]", "int": "tonumber(ARGV[{}])", "json": "cjson.decode(ARGV[{}])"}


class Script:
    """One Lua script with its signature, read when it is first used.

    There are seventy, and a short command uses two: reading all of them was a tenth of its start.
    """

    def __init__(self, name: str, root: Path = LUA_ROOT) -> None:
        self.name = name
        self._root = root

    @classmethod
    def load(cls, name: str, root: Path = LUA_ROOT) -> Script:
        """A script by its name; whether there is one is seen when it is used."""
        return cls(name, root)

    @cached_property
    def arguments(self) -> Mapping[str, str]:
        """Their kinds by name, in order. Raises ScriptError."""
        return dict(_ARG.findall(_read(self.name, self._root)))

    @cached_property
    def replies(self) -> frozenset[str]:
        """The words it may answer. Raises ScriptError."""
        found = frozenset(
            word.strip()
            for line in _REPLY.findall(_read(self.name, self._root))
            for word in line.split("|")
            if word.strip()
        )
        if not found:
            raise ScriptError(script=self.name, problem="its header names no @reply")
        return found

    @cached_property
    def sha(self) -> str:
        """Redis' own name for it. Raises ScriptError."""
        return hashlib.sha1(self.source.encode()).hexdigest()  # noqa: S324 - so Redis names scripts

    @cached_property
    def source(self) -> str:
        """What Redis is given: the file, and all it includes and names. Raises ScriptError."""
        included = _expand(self.name, self._root, (), {})
        flushes = [found for text in included.values() for found in _FLUSH.findall(text)]
        if flushes:
            body = included[self.name]
            included[self.name] = _FLUSHED.format(body=body, flushes=", ".join(flushes))
        code = lua_written_out("\n".join(included.values()))
        return "\n".join(
            [
                "local ns = ARGV[1]",
                lua_functions(set(_KEYS.findall(code))),
                life_tables(code),
                *[
                    f"local {arg} = {_READ[kind].format(index)}"
                    for index, (arg, kind) in enumerate(self.arguments.items(), start=2)
                ],
                code,
            ]
        )

    def __call__(self, client: redis.Redis, root: str, **values: Any) -> list[Any]:
        """Run it; returns the reply, whose first item is one of the words of the header.

        Raises ScriptError where caller or script break the contract.
        """
        return self.run(client, self.pack(root, **values))

    def run(self, client: redis.Redis, packed: Packed) -> list[Any]:
        """Run it with arguments that were made ready before."""
        try:
            reply = client.evalsha(self.sha, 0, *packed)
        except NoScriptError:
            reply = client.eval(self.source, 0, *packed)
        return self._checked(reply)

    def send(self, client: redis.Redis, packed: Packed) -> Sent:
        """Send it, and go on with other work while Redis runs it; the answer is read later."""
        return Line(client).send(self, packed)

    def pack(self, root: str, **values: Any) -> Packed:
        """Arguments as they go over the wire. Raises ScriptError where they are not the header's."""
        if values.keys() != self.arguments.keys():
            wrong = sorted(values.keys() ^ self.arguments.keys())
            problem = f"wrong or missing arguments: {', '.join(wrong)}"
            raise ScriptError(script=self.name, problem=problem)
        return [root] + [
            _json(values[name]) if kind == "json" else values[name]
            for name, kind in self.arguments.items()
        ]

    def _checked(self, reply: Any) -> list[Any]:
        answer: list[Any] = reply if isinstance(reply, list) else [reply]
        if not answer or answer[0] not in self.replies:
            problem = f"it answered {answer[:1]!r}, which its header does not name"
            raise ScriptError(script=self.name, problem=problem)
        return answer


class Line:
    """One connection on which scripts follow each other: Redis runs them in the order in which they were sent.

    The pool has it back when all are answered. Where it breaks, all that are not answered are lost with it.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._connection: Any = None
        self._sent: deque[Sent] = deque()  #: whose answers are not read yet

    def send(self, script: Script, packed: Packed) -> Sent:
        """Send a script behind those that Redis has not answered, and go on with other work."""
        if not self._sent:
            self._connection = self._client.connection_pool.get_connection()
        written = False
        try:
            # A look at the connection's health would take the next answer for its own.
            self._connection.send_command(
                "EVALSHA", script.sha, 0, *packed, check_health=not self._sent
            )
            written = True
        finally:
            if not written:
                self._break()
        sent = Sent(script, self, packed)
        self._sent.append(sent)
        return sent

    def read(self) -> None:
        """Read the next answer, whatever it is."""
        sent = self._sent[0]
        whole = False
        try:
            sent.reply = self._connection.read_response()
            whole = True
        except ResponseError as error:
            sent.error, whole = error, True
        except (RedisError, OSError) as error:
            sent.error = error
        finally:
            # An answer that may still come must not be taken for the next one's.
            if not whole:
                self._break()
            else:
                self._sent.popleft().over = True
                if not self._sent:
                    self._client.connection_pool.release(self._connection)

    def run_unknown(self, first: Sent) -> None:
        """Redis did not know a script: run it with its text, then those behind it that were unknown, too."""
        unknown = [first, *self._sent]
        while self._sent:
            self.read()
        for sent in unknown:
            if isinstance(sent.error, NoScriptError):
                sent.error = None
                sent.reply = self._client.eval(sent.script.source, 0, *sent.packed)

    def _break(self) -> None:
        self._connection.disconnect()
        self._client.connection_pool.release(self._connection)
        while self._sent:
            lost = self._sent.popleft()
            lost.over = True
            lost.error = lost.error or RedisConnectionError("it broke before all had answered")


class Sent:
    """A script that Redis runs now. Its answer must be read, or given up."""

    def __init__(self, script: Script, line: Line, packed: Packed) -> None:
        self.script = script
        self.packed = packed
        self.reply: Any = None
        self.error: Exception | None = None
        self.over = False  #: answered or lost
        self._line = line

    def answer(self) -> list[Any]:
        """What it answered, as from calling the script."""
        self.give_up()
        if isinstance(self.error, NoScriptError):
            self._line.run_unknown(self)
        if self.error is not None:
            raise self.error
        return self.script._checked(self.reply)  # noqa: SLF001 - two halves of one call

    def give_up(self) -> None:
        """Wait until it has run, if it runs, and look at nothing."""
        while not self.over:
            self._line.read()


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        # Half a surrogate pair in what a kernel said, which Unicode forbids and JSON can escape.
        return json.dumps(value, separators=(",", ":")).encode()


@cache
def _read(name: str, root: Path) -> str:
    try:
        return (root / f"{name}.lua").read_text()
    except FileNotFoundError:
        raise ScriptError(script=name, problem=f"there is no {name}.lua") from None


def _expand(name: str, root: Path, path: tuple[str, ...], found: dict[str, str]) -> dict[str, str]:
    if name in path:
        raise ScriptError(
            script=path[0], problem=f"its includes go in a circle: {' -> '.join([*path, name])}"
        )
    if name in found:
        return found
    body = _read(name, root)
    for include in _INCLUDE.findall(body):
        found = _expand(include, root, (*path, name), found)
    return {**found, name: body}


_TABLES: Final[Mapping[str, Callable[[set[str]], str]]] = {
    "SESSION_LIFE": lambda verbs: _life(SESSION_LIFE, verbs),
    "KERNEL_LIFE": lambda verbs: _life(KERNEL_LIFE, verbs),
    "SESSION_STATES": lambda _: _table({str(state): 1 for state in SessionState}),
    "WAITING": lambda _: _table({str(state): 1 for state in WAITING}),
    "FINAL": lambda _: _table({str(state): 1 for state in FINAL}),
    "STRENGTH": lambda _: _table(STOP_STRENGTH),
    "DAY_MS": lambda _: _table(DAY_MS),
    "KEPT_DAYS": lambda _: _table(KEPT_DAYS),
}


def life_tables(code: str) -> str:
    """The lives, the final states and other facts of the domain as Lua tables, where code names them.

    A script builds its tables anew at each call: all four cost a beat a third of its time. So of a life
    there are only the verbs that are named, unless the verb is a variable.
    """
    return "\n".join(
        f"local {name} = {made(_verbs(name, code))}"
        for name, made in _TABLES.items()
        if name in code
    )


def _verbs(life: str, code: str) -> set[str]:
    """The verbs of a life by which code looks into it; none where it may be any."""
    if re.search(rf"\b{life}\b(?!\.)", code):
        return set()
    return set(re.findall(rf"\b{life}\.(\w+)", code))


def _life(edges: tuple[Edge, ...], verbs: set[str]) -> str:
    rows = {
        edge.verb: {
            source or "-": dict.fromkeys(sorted(edge.targets), 1) for source in sorted(edge.sources)
        }
        for edge in edges
        if not verbs or edge.verb in verbs
    }
    return _table(rows)


def _table(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"['{key}']={_table(item)}" for key, item in value.items()) + "}"
    return str(value)
