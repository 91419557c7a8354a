"""``scheduler office submit|stats|execute|notify``: an office's jobs."""

from __future__ import annotations

import random
from typing import Any

import click

from scheduler.cli.context import App, checked_session, pass_app
from scheduler.cli.office_config import office_name
from scheduler.cli.options import complete_sessions
from scheduler.cli.output import JSON, duration, output_option, print_facts, print_json, print_table
from scheduler.cli.submit import submit_and_follow, submit_options
from scheduler.domain.queue import JobQueueStats
from scheduler.domain.retry import RetryPolicy
from scheduler.jobs.execution_queue import ExecutionQueue
from scheduler.operations.jobs import job_of
from scheduler.operations.offices import office_stats, submit_jobs

_job = click.argument("job", shell_complete=complete_sessions)


@click.command()
@office_name
@click.option("--role", default="", metavar="ROLE", help="One of the office's roles.")
@submit_options
@output_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_app
def submit(app: App, /, office: str, role: str, **asked: Any) -> None:
    """Submit a job of an office: a COMMAND with its arguments, or --callable.

    As `scheduler session submit`; a command with options of its own stands behind --. Timeout, retries
    and back-off that are not said are what the office says when the job runs; idempotency keys are the
    office's own.

    \b
    scheduler office submit web --role reviewer --priority 50 -- python review.py
    """  # noqa: D301 - click needs the character itself
    submit_and_follow(app, asked, lambda spec: submit_jobs(app.store, office, [spec], role=role)[0])


@click.command()
@office_name
@output_option
@pass_app
def stats(app: App, office: str, output: str) -> None:
    """Show how an office's queue stands; jobs that ended are counted until they are forgotten."""
    found = office_stats(app.store, office)
    if output == JSON:
        print_json(found.as_json())
        return
    print_facts(_stats(found))
    if found.roles:
        click.echo()
        print_table(
            ("ROLE", "PLACED", "LIMIT", "WAITING"),
            [
                (role, each.running, "-" if each.limit is None else each.limit, each.waiting)
                for role, each in found.roles.items()
            ],
        )


def _stats(found: JobQueueStats) -> dict[str, Any]:
    waiting = (
        f"{found.waiting}: {found.ready} ready, {found.pending} pending, {found.retrying} retrying"
    )
    oldest = found.oldest_waiting_ms
    return {
        "office": found.office,
        "running": f"{found.running} of {found.limit}, {found.available_slots} free",
        "waiting": waiting if found.waiting else "0",
        "oldest waits": "" if oldest is None else duration(oldest),
        "succeeded": str(found.succeeded),
        "failed": str(found.failed),
        "timed out": str(found.timed_out),
        "cancelled": str(found.cancelled),
    }


def _queue(app: App) -> ExecutionQueue:
    policy = RetryPolicy(initial_ms=app.settings().retry_initial)
    return ExecutionQueue(app.store, policy, random.random)


@click.command()
@office_name
@_job
@pass_app
def execute(app: App, office: str, job: str) -> None:
    """Hand a job to its leader now: it waits for its back-off no longer, and is looked at in its place.

    Its office's limits hold as ever.
    """
    data, queue = job_of(app.store, office, checked_session(job)), _queue(app)
    queue.execute_job(data.id)
    slots = queue.get_available_slots(office, data.request.role)
    click.echo("handed to its leader" if slots else "handed to its leader; it waits for a slot")


@click.command()
@office_name
@_job
@pass_app
def notify(app: App, office: str, job: str) -> None:
    """Tell subscribers once more that a job failed for good, as those that were added since."""
    state = _queue(app).notify_failure(job_of(app.store, office, checked_session(job)).id)
    click.echo(f"told again: {state}")
