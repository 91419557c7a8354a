"""``scheduler scope``: who may have how many sessions, slots and waiting sessions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice
from typing import Any, Final

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import NONE, OneOf, limit_pairs, number_or_none
from scheduler.cli.output import JSON, output_option, print_facts, print_json, print_table
from scheduler.domain.quota import described
from scheduler.domain.scope import KINDS, OtherSlots, Scope, ScopeLimits, ScopeUse, parse_scope
from scheduler.domain.slots import render_family
from scheduler.operations.limits import change_limits

#: Holders that are named; the global scope may have tens of thousands.
NAMED = 100
_LIFTED: Final[Mapping[str, Any]] = {
    "max_sessions": None,
    "max_slots": {},
    "max_pending_sessions": None,
    "max_pending_slots": {},
    "main_keypair": "",
}

_kind = click.argument("kind", type=OneOf(KINDS), metavar="KIND")
_name = click.argument("name")


@click.group()
def scope() -> None:
    """Look at scopes (global, keypair, ...) and limit their sessions and slots."""


@scope.command("list")
@output_option
@pass_app
def list_(app: App, output: str) -> None:
    """List the scopes that were given limits, and the global one."""
    found = app.store.scopes.read(app.store.scopes.known())
    if output == JSON:
        print_json([_facts(*each) for each in found.items()])
        return
    print_table(
        ("KIND", "NAME", "SESSIONS", "WAITING", "SLOTS", "WAITING SLOTS"),
        [
            (
                each.kind,
                each.name,
                _of(use.sessions, use.limits.max_sessions),
                _of(use.pending, use.limits.max_pending_sessions),
                _slots(use.slots, _allowed(use)),
                _slots(use.pending_slots, use.limits.max_pending_slots),
            )
            for each, use in found.items()
        ],
    )


@scope.command()
@_kind
@_name
@output_option
@pass_app
def show(app: App, kind: str, name: str, output: str) -> None:
    """Show a scope's limits, what it has, and the sessions that hold it, a hundred at most.

    KIND is global, domain, group, user, keypair, private, office, role or pool; the one global scope
    has the NAME global. What stands behind a slash is the limit.
    """
    wanted = parse_scope(kind, name)
    use = app.store.scopes.read([wanted])[wanted]
    holders = sorted(islice(chain.from_iterable(app.audit.members(wanted)), NAMED))
    if output == JSON:
        print_json(_facts(wanted, use) | {"holders": holders})
        return
    print_facts(
        {
            "scope": wanted,
            "sessions": _of(use.sessions, use.limits.max_sessions),
            "slots": _slots(use.slots, _allowed(use)),
            "waiting": _of(use.pending, use.limits.max_pending_sessions),
            "waiting slots": _slots(use.pending_slots, use.limits.max_pending_slots),
            "limits": described(use.limits),
        }
    )
    for session in holders:
        click.echo(session)


@scope.command("set")
@_kind
@_name
@click.option(
    "--max-sessions",
    type=number_or_none,
    metavar="N|none",
    help="How many sessions may hold it at once.",
)
@click.option(
    "--max-slots",
    type=limit_pairs,
    metavar="SLOTS|none",
    help="What its sessions may hold together, as cpu=8,mem=32GiB,cuda=2 (devices).",
)
@click.option(
    "--unspecified-slots",
    type=OneOf([*OtherSlots]),
    metavar="unlimited|zero",
    help="What --max-slots says of slots that it does not name.",
)
@click.option(
    "--max-pending",
    "max_pending_sessions",
    type=number_or_none,
    metavar="N|none",
    help="How many sessions of it may wait at once; more are refused when they are submitted.",
)
@click.option(
    "--max-pending-slots",
    type=limit_pairs,
    metavar="SLOTS|none",
    help="What the sessions that wait may ask for together.",
)
@click.option(
    "--main-keypair",
    metavar="NAME|none",
    help="Of a user: the keypair whose limits of slots are the user's.",
)
@pass_app
def set_(app: App, /, kind: str, name: str, **asked: Any) -> None:
    """Limit a scope; none lifts a limit, and what is not named stays as it is.

    A limit below what runs or waits stops new ones, and kills nothing.

    KIND is global, domain, group, user, keypair, private, office, role or pool; the one global scope
    has the NAME global.
    """
    wanted = parse_scope(kind, name)
    changes = {
        limit: _LIFTED[limit] if value == NONE else value
        for limit, value in asked.items()
        if value is not None
    }
    if not changes:
        raise click.UsageError("Say which limit, as --max-sessions, --max-slots or --max-pending.")
    limits = change_limits(app.store, wanted, changes)
    click.echo(f"scope {wanted}: {described(limits)}")


def _of(number: int, limit: int | None) -> str:
    return str(number) if limit is None else f"{number}/{limit}"


def _allowed(use: ScopeUse) -> dict[str, int | None]:
    policy = use.policy or ScopeLimits()
    return {family: policy.of_slot(family) for family in sorted({*use.slots, *policy.max_slots})}


def _slots(amounts: Mapping[str, int], limits: Mapping[str, int | None]) -> str:
    """Amounts with their limits: ``cpu 2/8, mem 1GiB``."""
    found = []
    for family in sorted({*amounts, *limits}):
        amount, limit = render_family(family, amounts.get(family, 0)), limits.get(family)
        found.append(
            f"{family} {amount}"
            if limit is None
            else f"{family} {amount}/{render_family(family, limit)}"
        )
    return ", ".join(found)


def _facts(scope: Scope, use: ScopeUse) -> dict[str, object]:
    """For JSON: slots in milli and MiB, as everywhere in it."""
    limits = use.limits
    return {
        "kind": scope.kind,
        "name": scope.name,
        "max_sessions": limits.max_sessions,
        "sessions": use.sessions,
        "max_slots": dict(limits.max_slots),
        "unspecified_slots": str(limits.unspecified_slots),
        "slots": dict(use.slots),
        "max_pending_sessions": limits.max_pending_sessions,
        "pending_sessions": use.pending,
        "max_pending_slots": dict(limits.max_pending_slots),
        "pending_slots": dict(use.pending_slots),
        "main_keypair": limits.main_keypair or None,
    }
