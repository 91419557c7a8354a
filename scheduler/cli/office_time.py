"""``scheduler office timeouts`` and ``process``: what history says of time, and a look by hand."""

from __future__ import annotations

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.output import (
    JSON,
    duration,
    output_option,
    print_facts,
    print_json,
    print_table,
)
from scheduler.operations.office_time import (
    process_every_office,
    process_office,
    recommended_timeouts,
)


@click.command()
@click.argument("office")
@output_option
@pass_app
def timeouts(app: App, office: str, output: str) -> None:
    """Show how long the jobs of each role ran, their timeout, and what is recommended.

    Of runs that went well; those that timed out are counted beside them, as nobody knows how long
    they take. A recommendation needs 20 runs.
    """
    found = recommended_timeouts(app.store, office)
    if output == JSON:
        print_json([each.as_json() for each in found])
        return
    print_table(
        ("ROLE", "RUNS", "TIMED OUT", "P50", "P95", "P99", "TIMEOUT", "RECOMMENDED", "BECAUSE"),
        [
            (
                each.role or "(none)",
                each.runs,
                each.timed_out,
                _time(each.p50_ms),
                _time(each.p95_ms),
                _time(each.p99_ms),
                _time(each.setting_ms),
                _time(each.recommended_ms),
                each.says,
            )
            for each in found
        ],
        empty="Nothing ran yet.",
    )


def _time(ms: int | None) -> str:
    return "-" if ms is None else duration(ms)


@click.command()
@click.argument("office", required=False)
@click.option("--all", "everything", is_flag=True, help="Every office that has jobs.")
@output_option
@pass_app
def process(app: App, office: str | None, *, everything: bool, output: str) -> None:
    """Have the jobs of an office decided anew now, and say how it stands.

    The leader does so by itself whenever something changes, and each 5 s; this is for the impatient.
    """
    if everything == bool(office):
        raise click.UsageError("Give an office, or --all")
    if office is None:
        looked = process_every_office(app.store)
        if output == JSON:
            print_json({"looked": looked})
        else:
            click.echo("done" if looked else "not every leader has looked yet")
        return
    found = process_office(app.store, office)
    if output == JSON:
        print_json(found.as_json())
        return
    print_facts(
        {
            "office": found.office,
            "ready": found.ready,
            "running": found.running,
            "free slots": found.free_slots,
            "looked": "yes" if found.looked else "not yet: the leader is busy",
            "no leader": ", ".join(found.no_leader),
        }
    )
