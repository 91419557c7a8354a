"""How an error leaves the program: one sentence on stderr, an exit code; this page is the map."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from enum import IntEnum
from traceback import extract_tb, format_exception
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from scheduler.domain.errors import (
    GraphFailed,
    InvalidInput,
    NotFound,
    Refused,
    SchedulerError,
    SessionFailed,
    StoreUnavailable,
    WaitTimeout,
    sentence,
)
from scheduler.domain.session import SessionData, headline


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0
    FAILED = 1  #: the session failed, or the doctor found something
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    NO_REDIS = 5
    DEFECT = 70  #: an error nobody foresaw; EX_SOFTWARE of sysexits.h
    NOT_YET = 124  #: who waited with a timeout gave up; it goes on. As timeout(1) has it
    INTERRUPTED = 130  #: 128 + SIGINT, as shells say it
    BROKEN_PIPE = 141  #: 128 + SIGPIPE


EXIT_CODES: Mapping[type[Exception], Exit] = MappingProxyType(
    {
        InvalidInput: Exit.USAGE,
        NotFound: Exit.NOT_FOUND,
        Refused: Exit.REFUSED,
        StoreUnavailable: Exit.NO_REDIS,
        SessionFailed: Exit.FAILED,
        GraphFailed: Exit.FAILED,
        WaitTimeout: Exit.NOT_YET,
        SchedulerError: Exit.DEFECT,
    }
)


def exit_code(error: SchedulerError) -> Exit:
    """The code of an error: that of its nearest class on the map."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def one_line(text: str) -> str:
    """Text of unknown origin as it may stand in a sentence or a table cell."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def say(text: str) -> None:
    """Tell the person, beside the output."""
    click.echo(sentence(one_line(text)), err=True)


def session_failed(data: SessionData) -> SessionFailed:
    """How a session ended badly; of a traceback, the line that matters."""
    reason = headline(data.error) or data.reason or "no reason was given"
    return SessionFailed(session=data.id, state=data.state, reason=reason)


@contextmanager
def while_waiting(session: str) -> Iterator[None]:
    """Who stops waiting for a session or a graph by Ctrl-C has not stopped it."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted; session {session} goes on") from None


class SentenceGroup(click.Group):
    """The root command: every error below it ends here."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,
    ) -> Any:
        """Run, and exit; as click does, but with our words and codes."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except SchedulerError as error:
            say(str(error))
            sys.exit(exit_code(error))
        except click.ClickException as error:
            _refuse_usage(error)
        except (click.Abort, KeyboardInterrupt):
            say("Interrupted")
            sys.exit(Exit.INTERRUPTED)
        sys.exit(code if isinstance(code, int) else Exit.DONE)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command of a context."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            say(str(interrupt) or "Interrupted")
            ctx.exit(Exit.INTERRUPTED)
        except BrokenPipeError:
            _close_output()
            ctx.exit(Exit.BROKEN_PIPE)


def _refuse_usage(error: click.ClickException) -> NoReturn:
    if isinstance(error, NoArgsIsHelpError):
        error.show()
        sys.exit(Exit.USAGE)
    context = getattr(error, "ctx", None)
    hint = f" See `{context.command_path} --help`." if context else ""
    say(f"{sentence(error.format_message())}{_guess(error)}{hint}")
    sys.exit(Exit.USAGE)


def _guess(error: click.ClickException) -> str:
    """The command that was meant, where click has no guess: it looks at those that were imported."""
    context = getattr(error, "ctx", None)
    mistyped = re.fullmatch(r"No such command '(.*)'\.", error.format_message())
    if not mistyped or context is None or not isinstance(context.command, click.Group):
        return ""
    near = get_close_matches(mistyped[1], context.command.list_commands(context), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _close_output() -> None:
    """Nobody reads any more: without this Python complains once more when it flushes at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell_defect(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """``sys.excepthook``: what nobody foresaw is one sentence too; the traceback on demand."""
    if issubclass(kind, KeyboardInterrupt):  # before or after the command itself
        say("Interrupted")
        return
    where = extract_tb(trace)[-1] if trace else None
    place = f" ({where.filename}:{where.lineno})" if where else ""
    say(
        f"This is a defect of the scheduler: {kind.__name__}: {error}{place};"
        " SCHEDULER_LOG_LEVEL=DEBUG shows the traceback."
    )
    if os.environ.get("SCHEDULER_LOG_LEVEL") == "DEBUG":
        click.echo("".join(format_exception(kind, error, trace)), err=True)
