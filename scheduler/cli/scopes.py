"""``scheduler scope``: who may have how many sessions at once."""

from __future__ import annotations

from itertools import chain, islice

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import NONE, OneOf, number_or_none
from scheduler.cli.output import JSON, output_option, print_facts, print_json, print_table
from scheduler.domain.scope import KINDS, Scope, ScopeLimits, parse_scope

#: Holders that are named; the global scope may have tens of thousands.
NAMED = 100

_kind = click.argument("kind", type=OneOf(KINDS), metavar="KIND")
_name = click.argument("name")


@click.group()
def scope() -> None:
    """Look at scopes (global, keypair, ...) and limit their sessions."""


@scope.command("list")
@output_option
@pass_app
def list_(app: App, output: str) -> None:
    """List the scopes that were given limits, and the global one."""
    found = app.store.scopes.read(app.store.scopes.known())
    if output == JSON:
        print_json([_facts(each, *use) for each, use in found.items()])
        return
    print_table(
        ("KIND", "NAME", "SESSIONS", "LIMIT"),
        [(each.kind, each.name, used, _limit(limits)) for each, (limits, used) in found.items()],
    )


@scope.command()
@_kind
@_name
@output_option
@pass_app
def show(app: App, kind: str, name: str, output: str) -> None:
    """Show a scope's limit and the sessions that hold it, a hundred at most.

    KIND is global, domain, group, user, keypair, office, role or pool; the one global scope has the
    NAME global.
    """
    wanted = parse_scope(kind, name)
    limits, used = app.store.scopes.read([wanted])[wanted]
    holders = sorted(islice(chain.from_iterable(app.audit.members(wanted)), NAMED))
    if output == JSON:
        print_json(_facts(wanted, limits, used) | {"holders": holders})
        return
    print_facts({"scope": wanted, "sessions": used, "limit": _limit(limits)})
    for session in holders:
        click.echo(session)


@scope.command("set")
@_kind
@_name
@click.option(
    "--max-sessions",
    type=number_or_none,
    metavar="N|none",
    required=True,
    help="How many sessions may hold it at once.",
)
@pass_app
def set_(app: App, kind: str, name: str, max_sessions: int | str) -> None:
    """Limit a scope. A limit below what runs stops new ones, and kills nothing.

    KIND is global, domain, group, user, keypair, office, role or pool; the one global scope has the
    NAME global.
    """
    wanted = parse_scope(kind, name)
    limits = ScopeLimits(None if max_sessions == NONE else int(max_sessions))
    app.store.scopes.limit(wanted, limits)
    click.echo(f"scope {wanted}: {_limit(limits)}")


def _limit(limits: ScopeLimits) -> str:
    return "unlimited" if limits.max_sessions is None else str(limits.max_sessions)


def _facts(scope: Scope, limits: ScopeLimits, used: int) -> dict[str, object]:
    return {
        "kind": scope.kind,
        "name": scope.name,
        "max_sessions": limits.max_sessions,
        "sessions": used,
    }
