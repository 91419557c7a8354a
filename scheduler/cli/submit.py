"""``scheduler session submit``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import session_failed, while_waiting
from scheduler.cli.log_lines import show_line, tell_kernel
from scheduler.cli.options import (
    assignment,
    backoff_changes,
    backoff_options,
    complete_agents,
    complete_sessions,
    group_option,
    json_list,
    json_object,
    slot_pairs,
    start_time,
    starts_at,
)
from scheduler.cli.output import JSON, output_option, print_json, print_json_line
from scheduler.domain.errors import InvalidSpec, LogsNotFound
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.domain.ids import SessionId
from scheduler.domain.session import SessionData
from scheduler.domain.spec import (
    DEFAULT_PRIORITY,
    DEFAULT_TIMEOUT,
    ClusterMode,
    OnLost,
    SessionSpec,
)
from scheduler.domain.states import SessionState
from scheduler.operations.following import follow_log
from scheduler.operations.submission import submit_sessions
from scheduler.store.schema import check_server

FOREVER = float("inf")


_OPTIONS = (
    group_option(default=DEFAULT_GROUP, show_default=True, help="Scaling group."),
    click.option(
        "--slots",
        type=slot_pairs,
        metavar="SLOTS",
        help="Per kernel, as cpu=1,mem=256MiB.  [default: cpu=1]",
    ),
    click.option(
        "--priority",
        type=int,
        default=DEFAULT_PRIORITY,
        show_default=True,
        help="0 to 100, higher first.",
    ),
    click.option("--name", default="", help="For people."),
    click.option("--keypair", metavar="NAME", help="Whose limits it counts against."),
    click.option(
        "--scope",
        "scopes",
        type=assignment,
        multiple=True,
        metavar="KIND=NAME",
        help="A further owner of limits, as user=alice or group=vision; may be repeated.",
    ),
    click.option(
        "--private",
        is_flag=True,
        help="Counts against the limit of private sessions of its keypair, and against no other.",
    ),
    click.option(
        "--depends-on",
        multiple=True,
        metavar="ID[=POLICY]",
        shell_complete=complete_sessions,
        help="Wait until this session has succeeded; may be repeated. ID=ignore: or ended anyhow; ID=hold: wait on"
        " when it does not succeed, instead of being cancelled.",
    ),
    click.option(
        "--timeout",
        metavar="DURATION",
        help="Stop it when it has run for this long, as 30s, 5m or 1.5h; a bare number is seconds."
        f"  [default: {DEFAULT_TIMEOUT}; of a job what its office says]",
    ),
    click.option(
        "--done-pattern",
        metavar="REGEX",
        help="A line of its output that says that its work is done, as 'Saved .*'; the whole line must match.",
    ),
    click.option(
        "--silence-timeout",
        metavar="DURATION",
        help="Stop it when it has printed nothing for this long.",
    ),
    click.option(
        "--retries",
        type=int,
        help="Further attempts after a failure.  [default: 0; of a job what its office says]",
    ),
    *backoff_options,
    click.option(
        "--not-before", type=start_time, metavar="TIME", help="ISO 8601 with a zone, or +10m."
    ),
    click.option(
        "--idempotency-key", metavar="KEY", help="A repeat with this key answers the same session."
    ),
    click.option(
        "--callback",
        default="",
        metavar="URL",
        help="Post its outcome there, signed, when it has ended; `scheduler callback secret` verifies it.",
    ),
    click.option(
        "--on-lost",
        type=click.Choice([str(what) for what in OnLost]),
        default=str(OnLost.RERUN),
        show_default=True,
        help="What becomes of it when its agent is lost.",
    ),
    click.option(
        "--cluster-size", type=int, default=1, show_default=True, help="Kernels, started together."
    ),
    click.option(
        "--cluster-mode",
        default=str(ClusterMode.SINGLE_NODE),
        show_default=True,
        metavar="MODE",
        help="single-node: all kernels on one agent; multi-node: each where there is room; or a plugin's.",
    ),
    click.option(
        "--kernel",
        "kernels",
        type=slot_pairs,
        multiple=True,
        metavar="SLOTS",
        help="Slots of one kernel, where kernels differ, and its architecture=NAME; repeated, instead of --slots"
        " and --cluster-size.",
    ),
    click.option(
        "--label",
        "labels",
        type=assignment,
        multiple=True,
        metavar="K=V",
        help="Only agents with this label, as zone=a or cuda.model=V100|A100; may be repeated.",
    ),
    click.option(
        "--prefer-label",
        "preferred_labels",
        type=assignment,
        multiple=True,
        metavar="K=V",
        help="Rather agents with this label; may be repeated.",
    ),
    click.option("--architecture", default="", metavar="NAME", help="As `uname -m` says: x86_64."),
    click.option(
        "--agent",
        "only_agents",
        multiple=True,
        metavar="ID",
        shell_complete=complete_agents,
        help="Only this agent; repeated, one of these.",
    ),
    click.option(
        "--prefer-agent",
        "preferred_agents",
        multiple=True,
        metavar="ID",
        shell_complete=complete_agents,
        help="Rather this agent; may be repeated.",
    ),
    click.option("--endpoint", default="", metavar="NAME", help="The service it is a replica of."),
    click.option(
        "--env",
        type=assignment,
        multiple=True,
        metavar="K=V",
        help="For its environment; may be repeated.",
    ),
    click.option("--callable", metavar="PKG.MOD:FUNC", help="A callable, instead of a command."),
    click.option("--args", type=json_list, metavar="JSON", help="Its arguments, a list."),
    click.option("--kwargs", type=json_object, metavar="JSON", help="Its keyword arguments."),
    click.option("--wait", is_flag=True, help="Follow it to its end; exit 1 if it fails."),
)


def submit_options(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(context_settings={"allow_interspersed_args": False})
@submit_options
@output_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_app
def submit(app: App, /, **asked: Any) -> None:
    """Enqueue a session: a COMMAND with its arguments, or --callable.

    Prints the session's id. With --wait the id goes to stderr, and its output follows: what a command
    prints, as it comes, each stream where it wrote it; or what a callable returns, as JSON on stdout.

    \b
    scheduler session submit --slots cpu=2,mem=1GiB -- python train.py --epochs 3
    scheduler session submit --callable math:sqrt --args '[2]' --wait
    """  # noqa: D301 - click needs the character itself
    submit_and_follow(app, asked, lambda spec: submit_sessions(app.store, [spec])[0])


def submit_and_follow(
    app: App, asked: dict[str, Any], write: Callable[[SessionSpec], SessionId]
) -> None:
    """Submit what was asked by the options of this page, and say or follow what becomes of it."""
    wait, output = asked.pop("wait"), asked.pop("output")
    # "+3s" counts on the clock by which it is started, or one that is an hour off here delays it by that.
    soon = isinstance(asked["not_before"], timedelta)
    spec = _spec(asked, app.audit.now_ms() if soon else 0)
    check_server(app.store.client)
    session = write(spec)
    if wait:
        if output != JSON:
            click.echo(session, err=True)
        with while_waiting(session):
            _wait(app, session, output, follow=not asked["callable"])
    elif output == JSON:
        print_json({"id": session, "state": str(app.session(session).state)})
    else:
        click.echo(session)


def _spec(asked: Mapping[str, Any], now_ms: int) -> SessionSpec:
    """What was asked, without what was left out. Raises InvalidSpec."""
    said = {name: value for name, value in asked.items() if value is not None}
    said["command"] = list(asked["command"]) or None
    for name in ("env", "labels", "preferred_labels", "scopes"):
        said[name] = _once(name, asked[name])
    edges = [text.partition("=") for text in asked["depends_on"]]
    said["depends_on"] = {parent: policy if sign else "cancel" for parent, sign, policy in edges}
    only, rather = said.pop("only_agents"), said.pop("preferred_agents")
    if only and rather:
        raise InvalidSpec(problem="give --agent or --prefer-agent, not both")
    said |= {"agents": only or rather, "agents_strict": not rather}
    said["backoff"] = backoff_changes(said) or None
    said["not_before"] = starts_at(asked["not_before"], now_ms)
    said["on_lost"] = OnLost(asked["on_lost"])
    return SessionSpec(**said)


def _once(name: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Pairs as a mapping; of an environment variable that is given twice the last holds, as in a shell."""
    found = dict(pairs)
    if name != "env" and len(found) < len(pairs):
        twice = next(label for i, (label, _) in enumerate(pairs) if label in dict(pairs[:i]))
        if name == "scopes":
            raise InvalidSpec(problem=f"scope {twice} is given twice; a session has one of a kind")
        raise InvalidSpec(problem=f"label {twice} is given twice; write {twice}=a|b for a or b")
    return found


def _wait(app: App, session: str, output: str, *, follow: bool) -> None:
    """Follow it to its end. Raises SessionFailed."""
    text = ""
    if follow:
        if output != JSON:
            tell_kernel(app.session(session), 0)
        text = _follow(app, session, show=output != JSON)
    data = app.store.sessions.wait(session, FOREVER)
    result = app.store.sessions.result(session)
    if output == JSON:
        told = {"log": text} if follow else {"result": result}
        print_json({"id": session, "state": str(data.state), "exit_code": _exit_code(data), **told})
    elif not follow and data.state is SessionState.SUCCEEDED:
        print_json_line(result)
    if data.state is not SessionState.SUCCEEDED:
        raise session_failed(data)


def _follow(app: App, session: str, *, show: bool) -> str:
    """What its main kernel prints, until it has ended."""
    pieces: list[str] = []
    try:
        for line in follow_log(app.store, session):
            if show:
                show_line(line)
            else:
                pieces.append(line.text)
    except LogsNotFound:
        pass  # it ended without ever running: how, says the caller
    return "".join(pieces)


def _exit_code(data: SessionData) -> int | None:
    return data.kernels[0].exit_code if data.kernels else None
