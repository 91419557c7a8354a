"""``scheduler office create|list|show|set|delete``: what an office allows, and what its jobs get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import say
from scheduler.cli.options import (
    assignment,
    backoff_changes,
    backoff_options,
    complete_offices,
    milliseconds,
)
from scheduler.cli.output import (
    JSON,
    duration,
    output_option,
    print_facts,
    print_json,
    print_table,
)
from scheduler.domain.ids import shown
from scheduler.domain.office import JobSchedulerConfig, Office, as_json, check_known
from scheduler.operations.offices import delete_office

office_name = click.argument("office", shell_complete=complete_offices)
_NONE = "none"


def _role_number(text: str) -> tuple[str, int | None]:
    """ROLE=N, or ROLE=none."""
    role, number = assignment(text)
    if number == _NONE:
        return role, None
    try:
        return role, int(number)
    except ValueError as error:
        raise click.BadParameter(f"{shown(text)} is not of the form ROLE=N") from error


def _role_time(text: str) -> tuple[str, int | None]:
    """ROLE=DURATION, or ROLE=none."""
    role, time = assignment(text)
    return role, None if time == _NONE else milliseconds(time)


_OPTIONS = (
    click.option(
        "--max-concurrent-jobs",
        type=int,
        metavar="N",
        help="How many jobs may be placed at once; 0 lets none begin.",
    ),
    click.option(
        "--role-limit",
        "max_concurrent_by_role",
        type=_role_number,
        multiple=True,
        metavar="ROLE=N",
        help="How many of one role; may be repeated, ROLE=none lifts one.",
    ),
    click.option("--max-retries", type=int, metavar="N", help="Further attempts of a failed job."),
    *backoff_options,
    click.option(
        "--timeout",
        "timeout_ms",
        type=milliseconds,
        metavar="DURATION",
        help="How long a job may run, as 30s, 30m or 1.5h; a bare number is seconds.",
    ),
    click.option(
        "--role-timeout",
        "timeout_ms_by_role",
        type=_role_time,
        multiple=True,
        metavar="ROLE=DURATION",
        help="How long one of this role; may be repeated, ROLE=none lifts one.",
    ),
    click.option(
        "--role",
        "roles",
        multiple=True,
        metavar="ROLE",
        help="A role, beside those it has; may be repeated.",
    ),
)


def _config_options(command: Any) -> Any:
    """What ``create`` and ``set`` take; nothing that was not said changes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_BY_ROLE = ("roles", "max_concurrent_by_role", "timeout_ms_by_role")


def _without_roles(
    gone: frozenset[str], changes: dict[str, Any], base: JobSchedulerConfig
) -> dict[str, Any]:
    """Changes that take roles away wherever they are named."""
    for name in _BY_ROLE if gone else ():
        value = changes.get(name, getattr(base, name))
        if isinstance(value, Mapping):
            changes[name] = {role: each for role, each in value.items() if role not in gone}
        else:
            changes[name] = [role for role in value if role not in gone]
    return changes


def _changes(asked: dict[str, Any], base: JobSchedulerConfig) -> dict[str, Any]:
    """The fields that were said; what was said of some roles is put into what holds for all."""
    changes: dict[str, Any] = {}
    if backoff := backoff_changes(asked):
        changes["backoff"] = backoff
    for name, value in asked.items():
        if name in ("max_concurrent_by_role", "timeout_ms_by_role"):
            if value:
                by_role = {**getattr(base, name), **dict(value)}
                changes[name] = {r: each for r, each in by_role.items() if each is not None}
        elif name == "roles":
            changes |= {"roles": [*base.roles, *value]} if value else {}
        elif value is not None:
            changes[name] = value
    return changes


@click.command()
@office_name
@_config_options
@click.option("--force", is_flag=True, help="Make one anew whose configuration cannot be read.")
@pass_app
def create(app: App, /, office: str, *, force: bool, **asked: Any) -> None:
    """Create an office; what is not said is as in `scheduler office show`."""
    app.store.offices.create(office, _changes(asked, JobSchedulerConfig()), force=force)
    click.echo(f"office {office} created")


@click.command("set")
@office_name
@_config_options
@click.option(
    "--no-role",
    "no_roles",
    metavar="ROLE",
    multiple=True,
    help="Take a role away, with its limit and timeout; may be repeated.",
)
@click.option(
    "--revision",
    type=click.IntRange(1),
    metavar="N",
    help="Change nothing unless the office is at this revision.",
)
@pass_app
def set_(app: App, /, office: str, revision: int | None, **asked: Any) -> None:
    """Change what an office allows; it holds at once, for jobs that wait already, too.

    A limit below what runs kills nothing.
    """
    before = app.store.offices.read(office)
    gone = frozenset(asked.pop("no_roles"))
    for role in gone.difference(before.config.known_roles):
        check_known(before, role)
    changes = _without_roles(gone, _changes(asked, before.config), before.config)
    # What was said of one role is put into what was read: nobody may change that meanwhile.
    read = before.revision if changes.keys() & set(_BY_ROLE) else None
    now = app.store.offices.change(office, changes, expected=revision or read)
    word = "unchanged" if now.revision == before.revision else "changed"
    click.echo(f"office {office} {word}, revision {now.revision}")


@click.command("list")
@output_option
@pass_app
def list_(app: App, output: str) -> None:
    """List offices."""
    found = app.store.offices.many(app.store.offices.names())
    spoilt = app.store.offices.unreadable()
    for name, why in spoilt.items():
        say(f"Office {name}: {why}; `scheduler office create {name} --force` makes it anew")
    if output == JSON:
        marked = [{"office": name, "unreadable": why} for name, why in spoilt.items()]
        print_json([*(_details(each) for each in found.values()), *marked])
        return
    print_table(
        ("OFFICE", "REVISION", "JOBS AT ONCE", "ROLES", "RETRIES", "TIMEOUT"),
        [
            (
                each.name,
                each.revision,
                each.config.max_concurrent_jobs,
                " ".join(each.config.known_roles) or "-",
                each.config.max_retries,
                duration(each.config.timeout_ms),
            )
            for each in found.values()
        ]
        + [(name, "unreadable", *["?"] * 4) for name in spoilt],
        empty="There are no offices; `scheduler office create NAME` makes one.",
    )


def _details(found: Office) -> dict[str, Any]:
    return {"office": found.name, "revision": found.revision, **as_json(found.config)}


@click.command()
@office_name
@output_option
@pass_app
def show(app: App, office: str, output: str) -> None:
    """Show what an office allows its jobs, and what they get where they do not say."""
    found = app.store.offices.read(office)
    if output == JSON:
        print_json(_details(found))
        return
    config = found.config
    print_facts(
        {
            "office": office,
            "revision": found.revision,
            "jobs at once": config.max_concurrent_jobs,
            "retries": config.max_retries,
            "back-off": f"{config.backoff.says()}, jitter {config.backoff.jitter:g}",
            "timeout": duration(config.timeout_ms),
        }
    )
    if config.known_roles:
        click.echo()
        print_table(
            ("ROLE", "JOBS AT ONCE", "TIMEOUT"),
            [
                (
                    role,
                    _or_none(config.max_concurrent_by_role, role),
                    duration(config.timeout_of(role)),
                )
                for role in config.known_roles
            ],
        )


def _or_none(limits: Mapping[str, int], role: str) -> str:
    return str(limits[role]) if role in limits else "-"


@click.command()
@office_name
@click.option(
    "--forget",
    is_flag=True,
    help="Forget its ended jobs first, with their logs, results and idempotency keys.",
)
@pass_app
def delete(app: App, office: str, *, forget: bool) -> None:
    """Delete an office of which no job is left, with its limits, and revoke its API keys.

    An office of the same name that is made later gets nothing of it.
    """
    revoked = delete_office(app.store, office, forget=forget)
    click.echo(f"office {office} deleted, API keys revoked: {revoked}")
