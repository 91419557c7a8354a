"""What review would otherwise have to repeat: small files, one place per kind of literal."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from scheduler.domain.states import SessionState

ROOT: Final = Path(__file__).parents[2]
PYTHON_LINES: Final = 400
LUA_LINES: Final = 80
TEST_LINES: Final = 500

STATES: Final = "scheduler/domain/states.py"
KEYS: Final = "scheduler/store/keys.py"

# Files that may catch everything, each with the reason why nothing narrower will do.
BROAD_EXCEPT: Final[Mapping[str, str]] = {
    "agents/executors/callables.py": "whatever a callable raises is how it ended",
    "scheduler/cycle/hooks.py": "a hook that raises refuses by its name, in a thread of its own",
    "scheduler/cycle/scheduler.py": "a broken cluster mode refuses by its name, and stops nobody else",
    "scheduler/cycle/waiting.py": "a scheduler that cannot rank sessions is told by its next cycle",
    "scheduler/leader/replica.py": "a defect ends the term; the next begins from what Redis holds",
    "scheduler/notifications/delivery.py": "whatever a subscriber raises is its own failure",
    "scheduler/plugins/asking.py": "a broken validator refuses by its name, and stops nobody else",
    "scheduler/service/budget.py": "whatever a call raises belongs to who made it",
    "scheduler/plugins/loading.py": "whatever a plugin raises when imported is told by its name",
    "scheduler/service/loop.py": "a loop never dies",
}
BROAD: Final = {"Exception", "BaseException"}


def files(pattern: str, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob(pattern))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


SOURCES: Final = files("*.py", "scheduler", "agents")


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """String constants; a string that is a statement of its own is documentation."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node


def state_literals(tree: ast.AST) -> list[str]:
    names = set(SessionState.__members__)
    return [f"{node.lineno}: {node.value!r}" for node in strings(tree) if node.value in names]


def key_literals(tree: ast.AST) -> list[str]:
    return [
        f"{node.lineno}: {node.value!r}"
        for node in strings(tree)
        if str(node.value).startswith("rq:") or ":session:" in str(node.value)
    ]


def catches_all(tree: ast.AST) -> bool:
    """An except clause, or a suppress(), that names a broad class or none at all."""
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=None):
                return True
            case (
                ast.ExceptHandler(type=ast.expr() as caught)
                | ast.Call(func=ast.Name(id="suppress"), args=[caught, *_])
                | ast.Call(func=ast.Attribute(attr="suppress"), args=[caught, *_])
            ):
                named = {part.id for part in ast.walk(caught) if isinstance(part, ast.Name)}
                if named & BROAD:
                    return True
            case _:
                pass
    return False


def too_long(paths: Iterable[Path], limit: int) -> dict[str, int]:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in paths}
    return {name: length for name, length in lengths.items() if length > limit}


def test_python_files_stay_small() -> None:
    assert {} == too_long(SOURCES, PYTHON_LINES)


def test_lua_files_stay_small() -> None:
    assert {} == too_long(files("*.lua", "scheduler"), LUA_LINES)


def test_test_files_stay_small() -> None:
    assert {} == too_long(files("*.py", "tests"), TEST_LINES)


def test_states_are_named_through_their_enum() -> None:
    """A typed member survives a rename; a literal waits to be forgotten."""
    others = [path for path in SOURCES if name_of(path) != STATES]

    found = {name_of(path): state_literals(parse(path)) for path in others}

    assert {} == {name: literals for name, literals in found.items() if literals}


def test_keys_are_spelled_on_one_page() -> None:
    others = [path for path in SOURCES if name_of(path) != KEYS]

    found = {name_of(path): key_literals(parse(path)) for path in others}

    assert {} == {name: literals for name, literals in found.items() if literals}


def test_only_listed_files_catch_everything() -> None:
    found = {name_of(path) for path in SOURCES if catches_all(parse(path))}

    assert set(BROAD_EXCEPT) == found


def test_the_state_check_reads_code_not_prose() -> None:
    tree = ast.parse('"""PENDING"""\n"PENDING"\nstate == "PENDING"\nother = "PENDING sessions"')

    assert ["3: 'PENDING'"] == state_literals(tree)


def test_the_key_check_looks_into_f_strings() -> None:
    tree = ast.parse('a = "rq:queues"\nb = f"{root}:session:{session}"\nc = "agents: all"')

    assert ["1: 'rq:queues'", "2: ':session:'"] == key_literals(tree)


@pytest.mark.parametrize(
    ("code", "broad"),
    [
        ("try: f()\nexcept: pass", True),
        ("try: f()\nexcept Exception: pass", True),
        ("try: f()\nexcept (OSError, BaseException) as error: pass", True),
        ("with contextlib.suppress(Exception): f()", True),
        ("with suppress(OSError): f()", False),
        ("try: f()\nexcept ValueError: raise Exception", False),
    ],
)
def test_the_broad_except_check_knows_its_forms(code: str, *, broad: bool) -> None:
    assert broad is catches_all(ast.parse(code))
