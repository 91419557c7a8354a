"""``scheduler session explain`` and ``why-not``: why a session does not run, anywhere or on one agent."""

from __future__ import annotations

from collections.abc import Iterable

import click

from scheduler.cli.context import App, checked_agent, checked_session, pass_app
from scheduler.cli.options import complete_agents, complete_sessions
from scheduler.cli.output import (
    JSON,
    moment,
    output_option,
    print_facts,
    print_json,
    print_lines,
    print_table,
)
from scheduler.domain.slots import render_family
from scheduler.domain.verdict import Excess
from scheduler.operations.explain import Refusal
from scheduler.operations.explaining import explain_session, why_not

_id = click.argument("session", metavar="ID", shell_complete=complete_sessions)


@click.command()
@_id
@click.option("--agents", is_flag=True, help="Also why not on each agent, nearest miss first.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="With --agents: at most so many of them.",
)
@output_option
@pass_app
def explain(app: App, session: str, *, agents: bool, limit: int, output: str) -> None:
    """Say why a session does not run now, and what would change that."""
    found = explain_session(app.store, checked_session(session), agents=limit if agents else 0)
    if output == JSON:
        print_json(found.as_dict())
        return
    print_facts(
        {
            "session": found.session,
            "state": found.state,
            "because": found.says,
            "position": found.stands.says if found.stands else None,
            "tries": found.tries or None,
            "last tried": moment(found.last_tried_at),
            "expected start": moment(found.expected_start),
            "tried again": moment(found.tried_again_at),
            "waits until": moment(found.waits_until),
        }
    )
    _print_refusals(found.refusals)
    if found.agents:
        click.echo()
        print_table(
            ("AGENT", "FIT", "WHY NOT", "CURED WHEN"),
            [(a.agent, f"{a.fits}/{a.kernels}", a.says, _all(a.changes)) for a in found.agents],
        )


@click.command("why-not")
@_id
@click.argument("agent", shell_complete=complete_agents)
@output_option
@pass_app
def why_not_(app: App, session: str, agent: str, output: str) -> None:
    """Say why a session does not run on one agent, and the smallest change that would let it."""
    found = why_not(app.store, checked_session(session), checked_agent(agent))
    if output == JSON:
        print_json(found.as_dict())
        return
    print_lines([found.says])
    answer = found.answer
    if answer.changes:
        click.echo("\nIt would have room there when")
        print_lines(f"  {change}" for change in answer.changes)
    if answer.hint or answer.notes:
        click.echo()
        print_lines(filter(None, (answer.hint, *answer.notes)))
    _print_refusals(found.refusals)


def _all(changes: Iterable[str]) -> str:
    return "; and ".join(changes)


def _print_refusals(refusals: Iterable[Refusal]) -> None:
    """Who says no, and the numbers of those that count something."""
    told = list(refusals)
    if told:
        click.echo()
        print_table(
            ("SAYS NO", "WHY", "CURED WHEN"),
            [(r.by, r.reason, "; or ".join(r.cures)) for r in told],
        )
    numbers = [(r.by, e) for r in told for e in r.excesses]
    if numbers:
        click.echo()
        print_table(
            ("SAYS NO", "OF", "USED", "REQUESTED", "LIMIT", "OVER BY"),
            [(by, e.of, *_amounts(e)) for by, e in numbers],
        )


def _amounts(excess: Excess) -> Iterable[str]:
    numbers = (excess.used, excess.requested, excess.limit, excess.over)
    slot = excess.slot
    return [render_family(slot, number) if slot else str(number) for number in numbers]
