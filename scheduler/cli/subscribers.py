"""``scheduler subscriber``: who is told what happens."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import say
from scheduler.cli.options import plugin_option
from scheduler.cli.output import (
    JSON,
    moment,
    output_option,
    print_facts,
    print_json,
    print_table,
)
from scheduler.domain.redaction import shown_options
from scheduler.domain.subscriber import SubscriberData
from scheduler.domain.throttle import Throttle
from scheduler.operations.subscribing import add_subscriber, resume_subscriber
from scheduler.protocol.signing import subscriber_key
from scheduler.store.subscribers import Wanted

_name = click.argument("name")


@click.group()
def subscriber() -> None:
    """Tell others what happens, each event at least once and in order."""


@subscriber.command()
@_name
@click.option("--url", metavar="URL", help="Where to: its option url.")
@click.option(
    "--kind",
    metavar="NAME",
    help="webhook posts each event, signed; apprise writes to people by mail, Slack and others; or a"
    " plugin's.  [default: webhook, with --url]",
)
@click.option(
    "--opt",
    "opts",
    type=plugin_option,
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the kind; may be repeated.",
)
@click.option(
    "--events",
    multiple=True,
    metavar="PATTERN",
    help="Names, or patterns as session.* or job_failed,job_timeout; may be repeated.  [default: all; of"
    " apprise job_failed,job_timeout]",
)
@click.option(
    "--throttle",
    metavar="N/TIME",
    help="At most so many messages per time, as 10/5m; the rest is told in one digest at its end.",
)
@click.option(
    "--from-oldest", is_flag=True, help="Begin with the oldest event that is kept, not from now on."
)
@pass_app
def add(app: App, /, name: str, **asked: Any) -> None:
    """Add a subscriber. A replica delivers to it; `subscriber secret` prints what verifies its events.

    \b
    scheduler subscriber add ci --url https://ci.example.org/hooks --events 'session.*'
    scheduler subscriber add ops --kind apprise --opt url_file=/etc/scheduler/ops.url --throttle 10/5m
    """  # noqa: D301 - click needs the character itself
    url, kind, opts = asked["url"], asked["kind"], dict(asked["opts"])
    if not url and not kind:
        raise click.UsageError("Give --url, or --kind with its options.")
    if url:
        opts["url"] = url
    events = [each for text in asked["events"] for each in text.split(",")]
    throttle = Throttle.parse(asked["throttle"]) if asked["throttle"] else None
    add_subscriber(
        app.store,
        name,
        (kind or "webhook", opts),
        Wanted(events, throttle),
        from_oldest=asked["from_oldest"],
    )
    click.echo(f"subscriber {name} added")


@subscriber.command("list")
@output_option
@pass_app
def list_(app: App, output: str) -> None:
    """List subscribers, and how many events each is behind."""
    found, last = app.store.subscribers.many(app.store.subscribers.names()), _last(app)
    if output == JSON:
        print_json([_as_dict(one, last) for one in found])
        return
    print_table(
        ("SUBSCRIBER", "KIND", "EVENTS", "DELIVERED", "FAILURES", "BEHIND", "STATE"),
        [
            (
                one.name,
                one.kind,
                " ".join(one.events),
                one.delivered,
                one.failed,
                _behind(one, last),
                _state(one),
            )
            for one in found
        ],
        empty="There are no subscribers; `scheduler subscriber add NAME --url URL` makes one.",
    )
    waiting, parked = app.callbacks.counts()
    if waiting or parked:
        say(f"callbacks: {waiting} waiting, {parked} parked; `scheduler callback list` shows them.")


@subscriber.command()
@_name
@output_option
@pass_app
def show(app: App, name: str, output: str) -> None:
    """Show a subscriber: what it wants, how far it is, and what went wrong last."""
    found, last = app.store.subscribers.get(name), _last(app)
    facts = _as_dict(found, last)
    if output == JSON:
        print_json(facts)
        return
    facts["opts"] = " ".join(f"{key}={value}" for key, value in facts["opts"].items())
    facts["events"] = " ".join(found.events)
    facts["parked_at"] = moment(found.parked_at) if found.parked_at else "no"
    facts["down_since"] = moment(found.down_since) if found.down_since else "no"
    print_facts({key.replace("_", " "): value for key, value in facts.items()})


@subscriber.command()
@_name
@click.option("--skip", is_flag=True, help="Without the event that it could not take.")
@pass_app
def resume(app: App, name: str, *, skip: bool) -> None:
    """Give a parked subscriber events again, or try one that fails now instead of later."""
    word = resume_subscriber(app.store, name, skip=skip)
    click.echo(f"subscriber {name} {'resumed' if word == 'resumed' else 'was not held up'}")


@subscriber.command()
@_name
@pass_app
def remove(app: App, name: str) -> None:
    """Forget a subscriber."""
    app.store.subscribers.remove(name)
    click.echo(f"subscriber {name} removed")


@subscriber.command()
@_name
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The cluster's secret, instead of SCHEDULER_SECRET.",
)
@pass_app
def secret(app: App, name: str, secret_file: Path | None) -> None:
    """Print the secret by which a receiver verifies a subscriber's events (Standard Webhooks)."""
    settings = app.settings(secret_file=secret_file)
    key = subscriber_key(settings.cluster_secret(), settings.namespace, name)
    click.echo(f"whsec_{base64.b64encode(bytes.fromhex(key)).decode()}")


def _last(app: App) -> str:
    return app.store.events.last_id()


def _behind(one: SubscriberData, last: str) -> int | None:
    """Events between its cursor and the newest; None where they are of different epochs."""
    epoch, seq = map(int, one.cursor.split("-"))
    last_epoch, last_seq = map(int, last.split("-"))
    return last_seq - seq if epoch == last_epoch else None


def _state(one: SubscriberData) -> str:
    if one.parked:
        return f"parked: {one.error}"
    return f"failing: {one.error}" if one.failures else "running"


def _as_dict(one: SubscriberData, last: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "opts": shown_options(one.opts),
        "events": list(one.events),
        "throttle": str(one.throttle or ""),
        "held_back": sum(one.window.held.values()),
        "cursor": one.cursor,
        "behind": _behind(one, last),
        "delivered": one.delivered,
        "failed": one.failed,
        "failures_in_a_row": one.failures,
        "error": one.error,
        "parked_at": one.parked_at,
        "down_since": one.down_since,
        "chances": one.chances,
        "gaps": one.gaps,
    }
