"""``scheduler key``: who may use the HTTP API."""

from __future__ import annotations

import click

from scheduler.auth.keys import ApiKeys
from scheduler.cli.context import App, pass_app
from scheduler.cli.options import OneOf, milliseconds
from scheduler.cli.output import JSON, moment, output_option, print_json, print_table
from scheduler.domain.api_key import ApiKey, Role


@click.group()
def key() -> None:
    """Keys of the HTTP API: who may ask what."""


@key.command()
@click.option(
    "--role",
    type=OneOf([str(role) for role in Role]),
    required=True,
    help="What it may do; each may do what those before it may.",
)
@click.option("--office", default="", metavar="NAME", help="The only one it may speak of.")
@click.option("--name", default="", help="For people: whose it is, or what for.")
@click.option(
    "--expires",
    type=milliseconds,
    metavar="TIME",
    help="It is refused after this time, as 90d; by default never.",
)
@pass_app
def create(app: App, role: str, office: str, name: str, expires: int | None) -> None:
    """Make a key and print it, once: only a digest of it is kept.

    \b
    export KEY=$(scheduler key create --role submitter --office acme)
    curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8080/api/offices/acme/jobs
    """  # noqa: D301 - click needs the character itself
    text, made = _keys(app).create(role, office=office, name=name, lasts_ms=expires or 0)
    click.echo(text)
    click.echo(f"key {made.id} made; nobody can print it again", err=True)


@key.command("list")
@output_option
@pass_app
def list_(app: App, output: str) -> None:
    """List keys, without their secrets."""
    found = _keys(app).all()
    if output == JSON:
        print_json([one.as_dict() for one in found])
        return
    now = app.audit.now_ms()
    print_table(
        ("KEY", "ROLE", "OFFICE", "NAME", "CREATED", "LAST USED", "EXPIRES", "STATE"),
        [
            (
                one.id,
                one.role,
                one.office or "all",
                one.name,
                moment(one.created_at),
                moment(one.last_used_at),
                moment(one.expires_at) or "never",
                _state(one, now),
            )
            for one in found
        ],
        empty="There are no keys; `scheduler key create --role viewer` makes one.",
    )


@key.command()
@click.argument("key_id", metavar="ID")
@pass_app
def revoke(app: App, key_id: str) -> None:
    """Take a key back, for ever; the API refuses it within a second."""
    word = _keys(app).revoke(key_id)
    click.echo(f"key {key_id} {'revoked' if word == 'revoked' else 'was revoked before'}")


def _keys(app: App) -> ApiKeys:
    return ApiKeys(app.store.api_keys)


def _state(one: ApiKey, now_ms: int) -> str:
    if one.revoked_at is not None:
        return f"revoked {moment(one.revoked_at)}"
    return "expired" if one.expires_at is not None and one.expires_at <= now_ms else "valid"
