"""How errors leave the program, whatever they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Formatter

import click
import pytest
from click.testing import CliRunner

from scheduler.cli import main
from scheduler.cli.app import RootGroup, cli
from scheduler.cli.context import App
from scheduler.cli.errors import EXIT_CODES, Exit, SentenceGroup, exit_code, tell_defect
from scheduler.domain import errors
from scheduler.domain.errors import SchedulerError
from scheduler.operations.following import EventGap
from tests.unit.cli.conftest import ROOT, Run, said

#: Nothing listens on the first port.
NOWHERE = "redis://:hunter2@127.0.0.1:1/0"


def test_every_error_of_the_tree_has_its_code() -> None:
    """The tree's own docstring says them."""
    promised = {
        "InvalidInput": 2,
        "NotFound": 3,
        "Refused": 4,
        "StoreUnavailable": 5,
        "SessionFailed": 1,
        "GraphFailed": 1,
        "WaitTimeout": 124,
    }
    for line in (errors.__doc__ or "").splitlines():
        name = line.strip("|-` ").split(" ")[0]
        if " exit " in line:
            assert f"exit {promised[name]} " in f"{line} "

    assert promised == {
        kind.__name__: EXIT_CODES[kind] for kind in EXIT_CODES if kind is not SchedulerError
    }


def _leaves(kind: type[SchedulerError]) -> Iterator[type[SchedulerError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _leaves(below)


def _made(kind: type[SchedulerError]) -> SchedulerError:
    """An error of a class, whatever facts its sentence has."""
    facts = [name for _, name, _, _ in Formatter().parse(kind.__doc__ or "") if name]
    return kind(**dict.fromkeys(facts, "x"))


def test_each_class_has_the_code_of_its_branch() -> None:
    codes = {kind.__name__: exit_code(_made(kind)) for kind in _leaves(SchedulerError)}

    assert (Exit.USAGE, Exit.NOT_FOUND, Exit.REFUSED) == (
        codes["InvalidSlots"],
        codes["DependencyNotFound"],
        codes["SchemaTooNew"],
    )
    assert (Exit.REFUSED, Exit.DEFECT) == (codes[EventGap.__name__], codes["ScriptError"])


@pytest.mark.parametrize(
    "words",
    [
        ["session", "list"],
        ["session", "submit", "true"],
        ["agent", "list"],
        ["leader", "show"],
        ["group", "set", "x"],
        ["scope", "list"],
        ["events"],
        ["doctor"],
    ],
)
def test_without_redis_a_command_says_so_and_exits_5(words: list[str]) -> None:
    left = said(CliRunner().invoke(cli, ["--redis", NOWHERE, *words]))

    assert (5, "", 1) == (left.code, left.out, left.err.count("\n"))
    assert left.err.startswith("Redis at redis://127.0.0.1:1/0 does not answer: ")
    assert "hunter2" not in left.err


@pytest.mark.parametrize("url", ["nonsense", "redis://host:port/0", "http://localhost"])
def test_a_url_that_is_none_is_wrong_usage(url: str) -> None:
    left = said(CliRunner().invoke(cli, ["--redis", url, "session", "list"]))

    assert (2, "", 1) == (left.code, left.out, left.err.count("\n"))
    assert "Bad setting redis_url: it is no Redis URL such as" in left.err


def test_a_namespace_that_is_none_is_wrong_usage() -> None:
    left = said(CliRunner().invoke(cli, ["--namespace", "a:b", "session", "list"]))

    assert 2 == left.code
    assert "Bad setting namespace: 'a:b' is no name" in left.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nosuch"], "No such command 'nosuch'. See `scheduler --help`."),
        (["session", "list", "--nosuch"], "See `scheduler session list --help`."),
        (["session", "show"], "Missing argument 'ID'. See `scheduler session show --help`."),
        (["session", "list", "--limit", "0"], "not in the range"),
        (["session", "list", "--state", "DEAD"], "'DEAD' is none of PENDING, READY"),
    ],
)
def test_wrong_usage_is_one_sentence_with_the_way_to_help(
    run: Run, words: list[str], says: str
) -> None:
    left = run(*words)

    assert (2, "", 1) == (left.code, left.out, left.err.count("\n"))
    assert says in left.err


def test_a_group_without_a_command_shows_its_help(run: Run) -> None:
    left = run("session")

    assert (2, "") == (left.code, left.out)
    assert "submit" in left.err


def test_help_is_not_an_error(run: Run) -> None:
    for words in (["--help"], ["-h"], ["session", "submit", "--help"]):
        left = run(*words)
        assert (0, "") == (left.code, left.err)


def _root(act: BaseException) -> click.Group:
    @click.group(cls=SentenceGroup)
    def root() -> None:
        pass

    @root.command("act")
    def _() -> None:
        raise act

    return root


def test_an_interrupt_while_the_program_imports_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a second of each command, more on a busy machine."""

    @contextmanager
    def interrupted() -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr("scheduler.cli.without_gc", interrupted)

    with pytest.raises(SystemExit) as left:
        main()

    assert (Exit.INTERRUPTED, "Interrupted.\n") == (left.value.code, capsys.readouterr().err)


def test_a_cluster_is_not_started_on_a_redis_that_is_not_there(tmp_path: Path) -> None:
    """Its processes would be started again for ever."""
    done = CliRunner().invoke(
        cli, ["--redis", "redis://127.0.0.1:1/0", "dev", "--data", str(tmp_path)]
    )

    assert (Exit.NO_REDIS, "", 1) == (done.exit_code, done.stdout, done.stderr.count("\n"))
    assert done.stderr.startswith("Redis at redis://127.0.0.1:1/0 ")


def test_a_command_that_was_mistyped_is_guessed_though_nothing_was_imported() -> None:
    root = RootGroup("scheduler", homes={"session": "scheduler.cli.sessions:session"})
    left = said(CliRunner().invoke(root, ["sesion", "list"], prog_name="scheduler"))

    says = "No such command 'sesion'. Did you mean 'session'? See `scheduler --help`.\n"
    assert (2, "", says) == (left.code, left.out, left.err)


def test_an_interrupt_is_one_line() -> None:
    left = said(CliRunner().invoke(_root(KeyboardInterrupt()), ["act"]))

    assert (130, "", "Interrupted.\n") == (left.code, left.out, left.err)


def test_a_reader_that_left_is_quiet() -> None:
    left = said(CliRunner().invoke(_root(BrokenPipeError()), ["act"]))

    assert (141, "", "") == (left.code, left.out, left.err)


def test_a_sentence_stays_one_line() -> None:
    error = errors.Refused(why="one\nline \x1b[31mred")
    left = said(CliRunner().invoke(_root(error), ["act"]))

    assert (4, "Refused: one line  [31mred.\n") == (left.code, left.err)


def test_a_defect_is_one_sentence_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCHEDULER_LOG_LEVEL", raising=False)
    tell_defect(KeyError, KeyError("x"), None)
    said = capsys.readouterr().err

    assert "This is a defect of the scheduler: KeyError: 'x'; SCHEDULER_LOG_LEVEL=DEBUG" in said
    assert 1 == said.count("\n")


def test_the_traceback_of_a_defect_is_there_on_demand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_LOG_LEVEL", "DEBUG")
    with pytest.raises(KeyError) as found:
        {1: 2}[3]
    tell_defect(found.type, found.value, found.tb)

    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_pipe_that_closes_early_is_quiet_to_the_last() -> None:
    """Python itself complains when it flushes at its end; that is only seen in a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scheduler.cli", "session", "submit", "--help"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        stderr = process.stderr.read().decode()

    assert "" == stderr
    assert process.returncode in (0, Exit.BROKEN_PIPE)


def test_the_app_closes_what_it_opened() -> None:
    app = App()
    app.close()

    assert app.opened is None


@pytest.mark.parametrize("page", ["README.md", "docs/cli.md", "--help"])
def test_every_exit_code_is_told(run: Run, page: str) -> None:
    """A script must be able to tell "failed" from "not yet", and know 70 when it meets it."""
    text = run(page).out if page == "--help" else (ROOT / page).read_text()
    begins = re.search(r"Exit codes: 0|\| exit code", text)
    assert begins

    told = [int(n) for n in re.findall(r"\b\d+\b", text[begins.start() :][:1_000])]

    assert set(Exit) <= set(told)


def test_the_map_of_codes_stands_in_one_place() -> None:
    folder = Path(cli.__module__.replace(".", "/")).parent
    codes = [p.name for p in (ROOT / folder).glob("*.py") if "EXIT_CODES" in p.read_text()]

    assert ["errors.py"] == codes
