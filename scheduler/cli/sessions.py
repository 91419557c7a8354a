"""``scheduler session``: what operators and apps do with sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from scheduler.cli.context import App, checked_session, pass_app
from scheduler.cli.errors import Exit, exit_code, say, session_failed, while_waiting
from scheduler.cli.lazy import LazyGroup
from scheduler.cli.log_lines import last_lines, show_line, tell_kernel
from scheduler.cli.options import (
    complete_sessions,
    group_option,
    milliseconds,
    with_dependents_option,
)
from scheduler.cli.output import (
    JSON,
    age,
    duration,
    moment,
    output_option,
    print_facts,
    print_json,
    print_json_line,
    print_lines,
    print_table,
)
from scheduler.domain.errors import SessionNotFound, WaitTimeout
from scheduler.domain.redaction import shown_url
from scheduler.domain.request import Request
from scheduler.domain.session import SessionData
from scheduler.domain.slots import render
from scheduler.domain.states import PLACED, SessionState
from scheduler.operations.control import cancel_all
from scheduler.operations.following import follow_log
from scheduler.operations.inspection import session_details
from scheduler.store.logs import LogLine

FOREVER = float("inf")

_id = click.argument("session", metavar="ID", shell_complete=complete_sessions)


@click.group(
    cls=LazyGroup,
    homes={
        "explain": "scheduler.cli.why:explain",
        "list": "scheduler.cli.session_list:list_",
        "submit": "scheduler.cli.submit:submit",
        "timeout": "scheduler.cli.timeouts:timeout_",
        "why-not": "scheduler.cli.why:why_not_",
    },
)
def session() -> None:
    """Submit sessions, look at them, cancel them, run them again."""


@session.command()
@_id
@output_option
@pass_app
def show(app: App, session: str, output: str) -> None:
    """Show a session, its kernels, its attempts and its result."""
    data = app.session(session)
    if data.unreadable:
        say(f"Of session {data.id} {data.spoilt}; shown is what can be read")
    result = app.store.sessions.result(data.id)
    if output == JSON:
        print_json(session_details(data, result))
        return
    print_facts(facts_of(data, app.audit.now_ms()))
    if data.kernels:
        click.echo()
        print_table(
            ("KERNEL", "STATE", "AGENT", "SLOTS", "EXIT", "SIGNAL", "REASON"),
            [
                (k.index, k.state, k.agent, render(k.slots), k.exit_code, k.signal, k.reason)
                for k in data.kernels
            ],
        )
    if data.history:
        click.echo()
        print_table(
            ("ATTEMPT", "AGENTS", "STARTED", "TOOK", "OUTCOME", "ERROR"),
            [
                (
                    a.attempt,
                    " ".join(a.agents),
                    moment(a.started_at),
                    duration(a.ended_at - a.started_at) if a.ended_at else "",
                    a.outcome,
                    a.error,
                )
                for a in data.history
            ],
        )
    if data.error:
        click.echo(f"\n{data.error.strip()}", err=False)
    if result is not None:
        click.echo()
        print_json_line(result)


def facts_of(data: SessionData, now_ms: int) -> dict[str, Any]:
    """What is shown of a session, by name; the empty ones are left out."""
    request = data.request
    return {
        "id": data.id,
        "name": data.name,
        "runs": data.work,
        "state": data.state,
        "reason": data.reason,
        "group": data.group,
        "priority": data.priority,
        "asks for": _asks_for(request),
        "cluster mode": request.cluster_mode if len(request.kernels) > 1 else "",
        "where": request.constraints.says(),
        "scopes": ", ".join(" ".join(scope) for scope in request.scopes),
        **_tries(data),
        "done pattern": request.done_pattern,
        "silence timeout": duration(request.silence_ms) if request.silence_ms else "",
        "on lost": request.on_lost,
        "waits for": f"{data.unmet} dependencies" if data.unmet else "",
        "not before": moment(data.not_before),
        "submitted": f"{moment(data.submitted_at)} ({age(data.submitted_at, now_ms)} ago)",
        "running": moment(data.running_at),
        "ended": moment(data.ended_at),
        "attempt": data.attempt or None,
        "retries used": data.retry_count or None,
        "rescues": data.rescues or None,
        "cancel asked": data.cancel_requested,
        "cancelled": moment(data.cancelled_at),
        "key": data.idempotency_key,
        "callback": _callback(data),
    }


def _tries(data: SessionData) -> dict[str, str]:
    """How long and how often it is tried, and who says so where that is its office."""
    request = data.request
    office = f" (office {request.office})"
    shown = {
        "timeout": duration(request.timeout_ms),
        "retries": str(request.retries),
        "backoff": request.backoff.says() if request.backoff else "",
    }
    said = {
        n: text + (office if n in request.inherits else "") for n, text in shown.items() if text
    }
    if data.own_timeout_ms is not None:
        said["timeout"] = f"{duration(data.own_timeout_ms)}  (set for this session)"
        return said
    if data.state in PLACED and data.timeout_ms not in (None, request.timeout_ms):
        said["timeout"] += f"; this attempt has {duration(data.timeout_ms or 0)}"
    return said


def _callback(data: SessionData) -> str:
    """Where its outcome is posted, and how that goes."""
    if not data.callback:
        return ""
    word, _, at = data.callback_told.partition(" ")
    how = (
        f"delivered {moment(int(at))}"
        if word == "delivered" and at.isdigit()
        else data.callback_told
    )
    return f"{shown_url(data.callback)} ({how or 'when it has ended'})"


def _asks_for(request: Request) -> str:
    """The slots of its kernels, equal ones counted."""
    kernels = Counter(render(kernel) for kernel in request.kernels)
    if len(request.kernels) == 1:
        return next(iter(kernels))
    if len(kernels) == 1:
        return f"{next(iter(kernels))}, {len(request.kernels)} kernels"
    return "; ".join(f"{count} x {slots}" for slots, count in kernels.items())


@session.command()
@click.argument("sessions", metavar="[ID]...", nargs=-1, shell_complete=complete_sessions)
@click.option("--all", "everything", is_flag=True, help="Every session that has not ended.")
@group_option(help="With --all: only those of this scaling group.")
@output_option
@pass_app
def cancel(
    app: App, sessions: Sequence[str], *, everything: bool, group: str | None, output: str
) -> None:
    """Cancel sessions.

    What runs is stopped by the leader; `accepted` says that it was asked to.
    """
    if everything == bool(sessions) or (group and not everything):
        raise click.UsageError("Give ids, or --all with or without --group")
    if everything:
        _cancel_all(app, group, output)
        return
    worst, told = Exit.DONE, []
    for each in sessions:
        try:
            told.append({"id": each, "answer": app.store.sessions.cancel(checked_session(each))})
        except SessionNotFound as error:
            say(str(error))
            worst = exit_code(error)
    if output == JSON:
        print_json(told)
    else:
        print_lines(f"{one['id']}  {one['answer']}" for one in told)
    click.get_current_context().exit(worst)


def _cancel_all(app: App, group: str | None, output: str) -> None:
    answers = cancel_all(app.store.sessions, app.audit, app.groups(group))
    if output == JSON:
        print_json(dict(answers))
    else:
        told = ", ".join(f"{count} {word}" for word, count in answers.items())
        click.echo(told or "nothing to cancel")


@session.command()
@_id
@click.option("-f", "--follow", is_flag=True, help="Go on until the session has ended.")
@click.option("--attempt", type=click.IntRange(1), help="An earlier attempt.  [default: the last]")
@click.option("--kernel", type=click.IntRange(0), default=0, show_default=True)
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines.")
@output_option
@pass_app
def logs(app: App, /, session: str, **asked: Any) -> None:
    """Print what a session's kernel has printed: its stdout to stdout, its stderr to stderr.

    What it wrote to the two comes in pieces, each in its order. -o json names the stream of each.
    """
    if asked["follow"] and (asked["attempt"] or asked["tail"] is not None):
        raise click.UsageError(
            "--follow is for all of the last attempt; leave --attempt and --tail out"
        )
    show = show_line if asked["output"] != JSON else _show_json
    data = app.session(session)
    if asked["output"] != JSON:
        tell_kernel(data, asked["kernel"])
    if asked["follow"]:
        with while_waiting(data.id):
            for line in follow_log(app.store, data.id, asked["kernel"]):
                show(line)
        return
    lines = app.store.logs.read(data, asked["attempt"], asked["kernel"])
    for line in lines if asked["tail"] is None else last_lines(lines, asked["tail"]):
        show(line)


def _show_json(line: LogLine) -> None:
    print_json_line(
        {"id": line.id, "kernel": line.kernel, "stream": line.stream, "text": line.text}
    )


@session.command()
@_id
@click.option(
    "--timeout",
    type=milliseconds,
    metavar="DURATION",
    help="Give up after this long, as 30s or 5m; a bare number is seconds.  [default: never]",
)
@output_option
@pass_app
def wait(app: App, session: str, timeout: int | None, output: str) -> None:
    """Wait until a session has ended: exit 0 if it succeeded, else 1; 124 if --timeout came first."""
    seconds = FOREVER if timeout is None else timeout / 1000
    with while_waiting(checked_session(session)):
        data = app.store.sessions.wait(session, seconds)
    if output == JSON:
        print_json(data.summary())
    elif data.ended:
        click.echo(data.state)
    if not data.ended:
        raise WaitTimeout(session=data.id, seconds=f"{seconds:g}", state=data.state)
    if data.state is not SessionState.SUCCEEDED:
        raise session_failed(data)


@session.command()
@_id
@output_option
@pass_app
def release(app: App, session: str, output: str) -> None:
    """Let a session go on without the dependencies that hold it (their policy is hold)."""
    count = app.store.sessions.release(checked_session(session))
    if output == JSON:
        print_json({"id": session, "released_from": count})
    else:
        click.echo(session)


@session.command()
@_id
@with_dependents_option
@output_option
@pass_app
def retry(app: App, session: str, *, with_dependents: bool, output: str) -> None:
    """Run a session again that ended badly."""
    again = app.store.sessions.retry(checked_session(session), with_dependents=int(with_dependents))
    if output == JSON:
        print_json([{"id": each} for each in again])
    else:
        print_lines(again)


@session.command()
@_id
@click.argument("priority", type=int)
@pass_app
def priority(app: App, session: str, priority: int) -> None:
    """Give a session another PRIORITY, 0 to 100, the highest first.

    What waits gets its new place at once; what is placed goes on, and takes it along should it wait
    again.
    """
    app.store.sessions.set_priority(checked_session(session), priority)
    click.echo(f"session {session}: priority {priority}")
