"""``scheduler job``: what an office does with its jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

import click

from scheduler.cli.context import App, checked_session, pass_app
from scheduler.cli.options import (
    agent_option,
    complete_sessions,
    complete_states,
    milliseconds,
    name_option,
    session_state,
    wanted_of,
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
    print_lines,
    print_table,
)
from scheduler.cli.sessions import facts_of
from scheduler.domain.errors import InvalidSetting, NoJob, SessionNotFound
from scheduler.domain.job import AT_ANY_TIME, Period
from scheduler.domain.office import check_office_name
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.operations import jobs
from scheduler.operations.inspection import session_details

_id = click.argument("job", metavar="ID", shell_complete=complete_sessions)
_office = click.option(
    "--office",
    required=True,
    metavar="NAME",
    callback=lambda _, __, name: check_office_name(name),
    help="Whose jobs.",
)
_office_or_not = click.option(
    "--office",
    metavar="NAME",
    callback=lambda _, __, name: name and check_office_name(name),
    help="Only if it is a job of this office; by default of any.",
)
_state = click.option(
    "--state",
    type=session_state,
    metavar="STATE",
    shell_complete=complete_states,
    help="Only this state.",
)
_role = click.option("--role", metavar="ROLE", help="Only this role.")


def _command(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A command of the group for many jobs."""

    def decorate(run: Callable[..., None]) -> Any:
        made: Any = pass_app(run)
        for option in reversed(options):
            made = option(made)
        return job.command(run.__name__.rstrip("_").replace("_", "-"))(made)

    return decorate


def _job_command(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A command of the group for one job, whose record says which office it is of."""

    def decorate(run: Callable[..., None]) -> Any:
        @wraps(run)
        def with_office(app: App, /, office: str | None, job: str, **asked: Any) -> None:
            run(app, office=_office_of(app, office, checked_session(job)), job=job, **asked)

        made: Any = pass_app(with_office)
        for option in reversed((_office_or_not, _id, *options)):
            made = option(made)
        return job.command(run.__name__)(made)

    return decorate


def _office_of(app: App, office: str | None, job: str) -> str:
    """The office of a job. Raises SessionNotFound, NoJob, and OfficeNotFound where a wrong one was named."""
    if office is None:
        if not (found := app.session(job).office):
            raise NoJob(session=job)
        return found
    try:
        return jobs.job_of(app.store, office, job).office
    except SessionNotFound:
        app.store.offices.read(office)
        raise


@click.group()
def job() -> None:
    """List jobs of offices, look at them, cancel them, hand them over."""


@_command(
    click.option(
        "--office",
        metavar="NAME",
        callback=lambda _, __, name: None if name is None else check_office_name(name),
        help="Only this office's; by default all offices', which costs a step per office.",
    ),
    _state,
    _role,
    click.option(
        "--limit", type=click.IntRange(1, jobs.LARGEST_PAGE), default=50, show_default=True
    ),
    name_option,
    agent_option,
    click.option("--cursor", metavar="CURSOR", help="Go on where a page ended."),
    click.option(
        "--older-than", type=milliseconds, metavar="TIME", help="Period so long ago or more: 2h."
    ),
    click.option(
        "--newer-than",
        type=milliseconds,
        metavar="TIME",
        help="Period less than so long ago: 10m.",
    ),
    output_option,
)
def list_(app: App, office: str | None, output: str, **asked: Any) -> None:
    """List the jobs of an office, or of all, the last submitted first."""
    if office is not None:
        app.store.offices.read(office)
    submitted = _ages(app, asked.pop("older_than"), asked.pop("newer_than"))
    wanted = wanted_of(app, asked.pop("name"), asked.pop("agent"))
    page = jobs.list_jobs(app.store, office, **asked, submitted=submitted, wanted=wanted)
    if output == JSON:
        items = [data.summary() | {"office": data.office, "role": data.role} for data in page.items]
        print_json({"items": items, "cursor": page.cursor})
        return
    now = app.audit.now_ms()
    of_all = office is None
    print_table(
        (
            "ID",
            "NAME",
            *("OFFICE",) * of_all,
            "ROLE",
            "STATE",
            "PRIORITY",
            "AGE",
            "ATTEMPT",
            "REASON",
        ),
        [_row(data, now, (data.office,) * of_all) for data in page.items],
        empty="There are no such jobs.",
        cut=("REASON",),
    )
    if page.cursor:
        click.echo(f"More follow: --cursor {page.cursor}", err=True)


def _ages(app: App, older_than: int | None, newer_than: int | None) -> Period:
    """What was submitted so many ms ago, by Redis' clock."""
    if older_than is None and newer_than is None:
        return AT_ANY_TIME
    if older_than is not None and newer_than is not None and newer_than <= older_than:
        raise InvalidSetting(
            name="--newer-than", problem="it must be longer than --older-than, or no job is both"
        )
    now = app.audit.now_ms()
    before = None if older_than is None else max(1, now - older_than + 1)
    after = None if newer_than is None else max(0, now - newer_than + 1)
    return Period.of(after, before)


def _row(data: SessionData, now_ms: int, office: tuple[str, ...]) -> tuple[object, ...]:
    waited = age(data.submitted_at, now_ms)
    told = (data.state, data.priority, waited, data.attempt, data.why)
    return (data.id, data.name, *office, data.role, *told)


@_job_command(output_option)
def show(app: App, office: str, job: str, output: str) -> None:
    """Show a job."""
    data = jobs.job_of(app.store, office, job)
    if output == JSON:
        print_json(session_details(data, app.store.sessions.result(data.id)))
        return
    print_facts({"office": data.office, "role": data.role} | facts_of(data, app.audit.now_ms()))


@_job_command(output_option)
def executions(app: App, office: str, job: str, output: str) -> None:
    """Show each try to run a job, and how it went."""
    found = jobs.executions(app.store, office, job)
    if output == JSON:
        print_json([asdict(each) for each in found])
        return
    print_table(
        ("ATTEMPT", "AGENTS", "STARTED", "TOOK", "STATUS", "TIMES OUT", "ERROR"),
        [
            (
                each.attempt,
                " ".join(each.agents),
                moment(each.started_at),
                duration(each.ended_at - each.started_at) if each.ended_at else "",
                each.status,
                moment(each.timeout_at),
                each.error,
            )
            for each in found
        ],
        empty="It has not run yet.",
    )


@_job_command()
def cancel(app: App, office: str, job: str) -> None:
    """Cancel a job; `accepted` says that the leader was asked to stop it."""
    click.echo(jobs.cancel_job(app.store, office, job))


@_command(_office, _state, _role)
def cancel_all(app: App, office: str, state: SessionState | None, role: str | None) -> None:
    """Cancel the jobs that there are now; says how many were, or are being stopped."""
    app.store.offices.read(office)
    click.echo(jobs.cancel_all(app.store, office, state, role))


@_job_command(with_dependents_option)
def retry(app: App, office: str, job: str, *, with_dependents: bool) -> None:
    """Run a job again that ended badly."""
    again = jobs.retry_job(app.store, office, job, with_dependents=with_dependents)
    print_lines(again)


@_job_command(click.argument("priority", type=int))
def priority(app: App, office: str, job: str, priority: int) -> None:
    """Give a job another PRIORITY, 0 to 100, the highest first."""
    jobs.set_priority(app.store, office, job, priority)
    click.echo(f"job {job}: priority {priority}")


@_job_command(click.argument("role"))
def handoff(app: App, office: str, job: str, role: str) -> None:
    """Give a job that waits, or that may be retried, another ROLE of its office.

    What runs is not stopped for it: cancel it, hand it over, and retry it.
    """
    jobs.handoff(app.store, office, job, role)
    click.echo(f"job {job}: role {role}")
