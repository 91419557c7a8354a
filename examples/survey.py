"""Survey the standard library of this interpreter: one count per module, one merge.

The input is real and on every machine, the modules differ in size by a factor of
hundreds, and the result can be checked by computing it directly.
"""

import ast
import json
import os
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

# CPython's own test suite is as large as all the rest, and holds files that are
# meant not to parse. Distributions leave it out; then surveys could not be compared.
EXCLUDED = frozenset({"test"})

#: Where counts are left for `merge`; sessions share files, not memory.
FOLDER = "SURVEY_DIR"
WITNESS = "witness.log"
SURVEY = "survey.json"

USAGE = "usage: python -m examples.survey direct | count NAME"


class LongestFunction(TypedDict):
    name: str
    lines: int


class Totals(TypedDict):
    modules: int
    files: int
    lines: int
    classes: int
    functions: int
    longest_function: LongestFunction | None


class Count(Totals):
    module: str


def modules() -> list[str]:
    """The top-level modules and packages of the standard library that have Python sources."""
    return sorted(name for name in sys.stdlib_module_names - EXCLUDED if _sources(name))


def folder() -> Path:
    """The folder the sessions of one survey share."""
    found = Path(os.environ.get(FOLDER) or Path.home() / ".cache" / "survey")
    (found / "counts").mkdir(parents=True, exist_ok=True)
    return found


def count(name: str) -> Count:
    """The work of one session: parse one top-level module or package, leave the count for `merge`."""
    with _witness(name):
        result = parse(name)
        (folder() / "counts" / f"{name}.json").write_text(json.dumps(result))
    return result


def merge() -> Totals:
    """The work of the last session: add up all counts, and write the survey."""
    with _witness("merge"):
        counts = [
            json.loads(path.read_text()) for path in sorted((folder() / "counts").glob("*.json"))
        ]
        survey = add_up(counts)
        (folder() / SURVEY).write_text(json.dumps(survey, indent=2))
    return survey


@contextmanager
def _witness(name: str) -> Iterator[None]:
    """Note start and end in a file that the scheduler knows nothing of, so that it can be checked by it."""
    session, attempt = os.environ.get("SESSION_ID", "-"), os.environ.get("SESSION_ATTEMPT", "-")

    def note(what: str) -> None:
        line = f"{what} {session} {attempt} {name} {time.monotonic_ns()}\n"
        # One write to a file opened for appending is not torn by the other processes' writes.
        with (folder() / WITNESS).open("ab", buffering=0) as file:
            file.write(line.encode())

    note("start")
    yield
    note("end")


def parse(name: str) -> Count:
    """Parse all sources of one top-level module or package; ValueError for any other name."""
    sources = _sources(name) if name in sys.stdlib_module_names - EXCLUDED else []
    if not sources:
        raise ValueError(
            f"expected a standard library module with Python sources, got {name!r};"
            " examples.survey.modules() lists them"
        )
    lines = classes = 0
    functions: list[LongestFunction] = []
    for dotted, path in sources:
        source = path.read_bytes()
        lines += len(source.splitlines())
        for qualified, node in _definitions(_parse(source, path), dotted):
            if isinstance(node, ast.ClassDef):
                classes += 1
            else:
                functions.append({"name": qualified, "lines": _length(node)})
    return {
        "module": name,
        "modules": 1,
        "files": len(sources),
        "lines": lines,
        "classes": classes,
        "functions": len(functions),
        "longest_function": _longest(functions),
    }


def add_up(counts: Sequence[Totals]) -> Totals:
    """Add counts up; the order does not matter, and merged counts can be merged again."""
    return {
        "modules": sum(each["modules"] for each in counts),
        "files": sum(each["files"] for each in counts),
        "lines": sum(each["lines"] for each in counts),
        "classes": sum(each["classes"] for each in counts),
        "functions": sum(each["functions"] for each in counts),
        "longest_function": _longest(
            [each["longest_function"] for each in counts if each["longest_function"]]
        ),
    }


def direct() -> Totals:
    """The whole survey in this process, to compare with."""
    return add_up([parse(name) for name in modules()])


def _sources(name: str) -> list[tuple[str, Path]]:
    """Dotted name and file of everything importable below `name`, in order."""
    library = Path(sysconfig.get_path("stdlib"))
    if (single := library / f"{name}.py").is_file():
        return [(name, single)]
    return list(_package(library / name, name))


def _package(folder: Path, dotted: str) -> Iterator[tuple[str, Path]]:
    # A folder without __init__.py holds data, such as the Python 2 files that
    # lib2to3's tests convert; they are not modules and need not parse.
    if not (folder / "__init__.py").is_file():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _package(path, f"{dotted}.{path.name}")
        elif path.name == "__init__.py":
            yield dotted, path
        elif path.suffix == ".py":
            yield f"{dotted}.{path.stem}", path


def _parse(source: bytes, path: Path) -> ast.Module:
    with warnings.catch_warnings():
        # Old string escapes in old modules are not what we look for.
        warnings.simplefilter("ignore")
        return ast.parse(source, filename=str(path))


def _definitions(
    parent: ast.AST, dotted: str
) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{dotted}.{node.name}", node
            yield from _definitions(node, f"{dotted}.{node.name}")
        else:
            yield from _definitions(node, dotted)


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _longest(functions: Sequence[LongestFunction]) -> LongestFunction | None:
    # By name among equals, so that the order of arrival does not show.
    return min(functions, key=lambda each: (-each["lines"], each["name"]), default=None)


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["direct"]:
            result: Totals = direct()
        case ["count", name]:
            try:
                result = count(name)
            except ValueError as refusal:
                sys.exit(str(refusal))
        case _:
            sys.exit(USAGE)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
