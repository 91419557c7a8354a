"""What people may type: durations, times, JSON, addresses; and completion of ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import click

from scheduler.cli.context import App, checked_agent
from scheduler.domain.errors import InvalidSlots, InvalidSpec, SchedulerError
from scheduler.domain.ids import shown
from scheduler.domain.retry import Growth
from scheduler.domain.slots import parse_limits, parse_pairs
from scheduler.domain.spec import duration_ms
from scheduler.domain.spelling import meant
from scheduler.domain.states import FINAL, SessionState
from scheduler.domain.wanted import Wanted
from scheduler.observability.addresses import read_address

#: Ids offered by the shell; more than that nobody reads.
OFFERED = 50
NONE = "none"
with_dependents_option = click.option(
    "--with-dependents",
    is_flag=True,
    help="Also all below it that was cancelled because it failed.",
)

name_option = click.option(
    "--name",
    metavar="PATTERN",
    help="Only those of this name, as train-1 or 'train-*'. Of names there is no index: a page looks at"
    " 10,000 at most, and says where the next goes on.",
)


def milliseconds(text: str) -> int:
    """A duration such as 30s, 5m or 2 (seconds), as ms."""
    try:
        return duration_ms(text, "it")
    except InvalidSpec as error:
        raise click.BadParameter(str(error.facts["problem"])) from error


def milliseconds_or_none(text: str) -> int | str:
    """The same, or the word none, which stays a word: None is what nobody said."""
    return NONE if text == NONE else milliseconds(text)


def number_or_none(text: str) -> int | str:
    """A number, or the word none."""
    if text == NONE:
        return NONE
    try:
        return int(text)
    except ValueError as error:
        raise click.BadParameter(f"{shown(text)} is neither a number nor {NONE!r}") from error


def json_list(text: str) -> list[Any]:
    """A JSON list."""
    return cast("list[Any]", _json(text, list, "[1, 2]"))


def json_object(text: str) -> dict[str, Any]:
    """A JSON object."""
    return cast("dict[str, Any]", _json(text, dict, '{"a": 1}'))


def _json(text: str, kind: type, example: str) -> object:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{shown(text)} is not JSON ({error}); write {example}") from error
    if not isinstance(found, kind):
        raise click.BadParameter(f"{shown(text)} is not of the form {example}")
    return found


def start_time(text: str) -> datetime | timedelta:
    """A moment with its zone, or +DURATION from now."""
    if text.startswith("+"):
        return timedelta(milliseconds=milliseconds(text[1:]))
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{shown(text)} is no time; write 2026-11-21T09:00:00+09:00,"
            " or +10m for ten minutes from now"
        ) from error


def slot_pairs(text: str) -> dict[str, str]:
    """cpu=1,mem=256MiB."""
    try:
        return parse_pairs(text)
    except InvalidSlots as error:
        raise click.BadParameter(str(error.facts["problem"])) from error


def limit_pairs(text: str) -> dict[str, int] | str:
    """cpu=8,mem=32GiB,cuda=2 as limits by family, or the word none."""
    if text == NONE:
        return NONE
    try:
        return parse_limits(text)
    except InvalidSlots as error:
        raise click.BadParameter(str(error.facts["problem"])) from error


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{shown(text)} is not of the form NAME=VALUE")
    return name, value


def plugin_option(text: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that is JSON is read as such, anything else is text."""
    name, value = assignment(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def address(text: str) -> tuple[str, int]:
    """HOST:PORT, or PORT on the loopback interface."""
    try:
        return read_address(text)
    except ValueError as error:
        raise click.BadParameter(f"{shown(text)} is not of the form HOST:PORT") from error


def session_state(text: str) -> SessionState:
    """A session state, in any case."""
    try:
        return SessionState(text.upper().replace("-", "_"))
    except ValueError as error:
        raise click.BadParameter(f"{shown(text)} is none of {', '.join(SessionState)}") from error


def starts_at(when: datetime | timedelta | None, now_ms: int) -> datetime | None:
    """The start time that was meant."""
    if isinstance(when, timedelta):
        return datetime.fromtimestamp(now_ms / 1000, UTC) + when
    return when


def complete_states(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Session states."""
    return [state for state in SessionState if state.startswith(incomplete.upper())]


def complete_sessions(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of sessions that have not ended, some of them."""

    def ids(app: App) -> list[str]:
        live = [state for state in SessionState if state not in FINAL]
        sessions = app.store.sessions
        return [
            session
            for group in sessions.groups()
            for state in live
            for session in sessions.list_ids(group, state, limit=OFFERED)
        ]

    return _offered(ctx, ids, incomplete)


def complete_agents(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of agents."""

    def ids(app: App) -> list[str]:
        return [
            agent for group in app.store.groups.names() for agent in app.store.agents.ids(group)
        ]

    return _offered(ctx, ids, incomplete)


agent_option = click.option(
    "--agent",
    metavar="ID",
    shell_complete=complete_agents,
    help="Only those with a kernel on this agent now; what is placed is looked through.",
)


def wanted_of(app: App, name: str | None, agent: str | None) -> Wanted:
    """What a list is narrowed by. Raises InvalidSetting, AgentNotFound."""
    if agent is not None:
        app.store.agents.get(checked_agent(agent))
    return Wanted.of(name, agent)


def complete_groups(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of scaling groups."""
    return _offered(ctx, lambda app: app.store.groups.names(), incomplete)


def _offered(ctx: click.Context, names: Callable[[App], list[str]], incomplete: str) -> list[str]:
    """While the shell completes no command has run: the options are read from the root's words."""
    asked = ctx.find_root().params
    app = App(asked.get("redis_url"), asked.get("namespace"))
    try:
        return [name for name in names(app) if name.startswith(incomplete)][:OFFERED]
    except SchedulerError:
        return []
    finally:
        app.close()


class OneOf(click.Choice[str]):
    """A choice whose refusal names the word that was probably meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """One of the words."""
        if value in self.choices:
            return str(value)
        known = [str(word) for word in self.choices]
        raise click.BadParameter(f"{shown(value)} is none; {meant(str(value), known)}", ctx, param)


def group_option(**more: Any) -> Callable[[Any], Any]:
    """``--group NAME``."""
    return click.option("--group", metavar="NAME", shell_complete=complete_groups, **more)


#: The fields of a `RetryPolicy`, and what people type.
_BACKOFF: Mapping[str, tuple[Any, str, str]] = {
    "kind": (
        OneOf([*Growth]),
        "KIND",
        f"How waits before retries grow: {', '.join(Growth)}.",
    ),
    "initial": (milliseconds, "DURATION", "The wait before the first retry."),
    "factor": (float, "X", "How many times longer each wait is, of exponential."),
    "maximum": (milliseconds, "DURATION", "No wait is longer."),
    "jitter": (float, "PART", "The part of a wait that chance may take off, 0 to 1."),
}
_IN_MS = ("initial", "maximum")


def _backoff_option(field: str) -> Callable[[Any], Any]:
    kind, metavar, says = _BACKOFF[field]
    name = "--backoff" if field == "kind" else f"--backoff-{field}"
    return click.option(name, f"backoff_{field}", type=kind, metavar=metavar, help=says)


backoff_options = tuple(_backoff_option(field) for field in _BACKOFF)


def backoff_changes(asked: dict[str, Any]) -> dict[str, Any]:
    """Take what was said of waits before retries out of the options; the fields of a policy."""
    said = {field: asked.pop(f"backoff_{field}", None) for field in _BACKOFF}
    return {
        f"{field}_ms" if field in _IN_MS else field: value
        for field, value in said.items()
        if value is not None
    }


def complete_offices(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of offices."""
    return _offered(ctx, lambda app: app.store.offices.names(), incomplete)
