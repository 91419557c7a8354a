"""``scheduler graph``: sessions that depend on each other, submitted whole and drawn as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, TextIO

import click
import yaml
from rich.text import Text
from rich.tree import Tree

from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import one_line, while_waiting
from scheduler.cli.options import milliseconds
from scheduler.cli.output import (
    JSON,
    age,
    coloured,
    moment,
    output_option,
    print_facts,
    print_json,
    print_table,
    print_tree,
)
from scheduler.domain.errors import GraphFailed, InvalidGraph
from scheduler.domain.graph import GraphData, GraphMember, GraphSpec, graph_from
from scheduler.domain.states import SessionState
from scheduler.operations.graphs import SHOWN, read_graph, submit_graph, wait_for_graph
from scheduler.store.schema import check_server

_id = click.argument("graph_id", metavar="GRAPH")
_FOREVER = float("inf")


@click.group()
def graph() -> None:
    """Submit sessions that depend on each other, all or none, and see how they stand."""


@graph.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option(
    "--wait", is_flag=True, help="Wait until all jobs have ended; exit 1 unless all succeeded."
)
@click.option(
    "--timeout",
    type=milliseconds,
    metavar="DURATION",
    help="With --wait: give up after this long with exit code 124, as 30s or 5m.  [default: never]",
)
@output_option
@pass_app
def submit(app: App, file: TextIO, *, wait: bool, timeout: int | None, output: str) -> None:
    """Submit the graph of a YAML or JSON FILE (- is stdin). Prints its id.

    \b
    jobs:
      - name: fetch
        command: [python, fetch.py]
      - name: train
        callable: "acme.train:run"
        needs: [fetch]              # or {fetch: ignore}: cancel, ignore or hold
    """  # noqa: D301 - click needs the character itself
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is for --wait")
    spec = _read(file)
    check_server(app.store.client)
    found = submit_graph(app.store, spec)
    if not wait:
        _tell(found, output)
        return
    if output != JSON:
        click.echo(found.id, err=True)
    with while_waiting(found.id):
        counts = wait_for_graph(app.store, found, _FOREVER if timeout is None else timeout / 1000)
    if output == JSON:
        print_json({"id": found.id, "counts": dict(counts)})
    else:
        click.echo(_counted(counts))
    if counts.get(SessionState.SUCCEEDED, 0) < found.jobs:
        raise GraphFailed(graph=found.id, counts=_counted(counts))


def _read(file: TextIO) -> GraphSpec:
    """Raises InvalidGraph."""
    try:
        text = file.read()
        return graph_from(_from_json(text) or _from_yaml(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidGraph(
            problem=f"{file.name} is neither YAML nor JSON: {one_line(why)}"
        ) from error


def _from_json(text: str) -> Any:
    """What it says, or None: it may be YAML yet."""
    if text.lstrip()[:1] == "{":
        with suppress(ValueError):
            return json.loads(text)
    return None


def _from_yaml(text: str) -> Any:
    # The loader in C is ten times as fast, and a graph may have 100,000 jobs.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe


def _tell(found: GraphData, output: str) -> None:
    if output == JSON:
        print_json({"id": found.id, "jobs": dict(found.sessions)})
    else:
        click.echo(found.id)


@graph.command()
@_id
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=SHOWN,
    show_default=True,
    help="Jobs that are drawn; the rest is counted.",
)
@output_option
@pass_app
def show(app: App, graph_id: str, limit: int, output: str) -> None:
    """Draw a graph as a tree: each job under the first of those it needs, with its state."""
    found = read_graph(app.store, graph_id, limit=limit)
    if output == JSON:
        print_json(found.as_dict())
        return
    print_facts(
        {
            "id": found.id,
            "name": found.name,
            "group": found.group,
            "office": found.office,
            "submitted": moment(found.submitted_at),
            "jobs": f"{found.jobs} ({_counted(found.counts)})",
        }
    )
    click.echo()
    print_tree(_tree(found))


def _counted(counts: Any) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "all forgotten"


def _tree(found: GraphData) -> Tree:
    """Without recursion: a graph may be as deep as it is large."""
    members = {member.name: member for member in found.members}
    children: dict[str, list[GraphMember]] = {}
    for member in found.members:
        for need in member.needs:
            children.setdefault(need, []).append(member)
    tree = Tree(Text(found.name or found.id, style="bold"))
    drawn: set[str] = set()
    stack = [
        (tree, member, "")
        for member in reversed(found.members)
        if members.keys().isdisjoint(member.needs)
    ]
    while stack:
        above, member, parent = stack.pop()
        branch = above.add(_label(member, parent, again=member.name in drawn))
        if member.name in drawn:
            continue
        drawn.add(member.name)
        stack += [(branch, child, member.name) for child in reversed(children.get(member.name, []))]
    if len(found.members) < found.jobs:
        tree.add(Text(f"... and {found.jobs - len(found.members)} more", style="dim"))
    return tree


def _label(member: GraphMember, parent: str, *, again: bool) -> Text:
    label = Text(one_line(member.name), no_wrap=True, overflow="ellipsis")
    if again:
        return label.append(" (see above)", style="dim")
    label.append("  ")
    label.append_text(coloured(member.state or "FORGOTTEN"))
    said = [each for each in _remarks(member, parent) if each]
    return label.append(f"  ({'; '.join(said)})", style="dim") if said else label


def _remarks(member: GraphMember, parent: str) -> Iterator[str]:
    """What the state does not say: a policy other than cancel, other needs, why it ended."""
    policy = member.needs.get(parent, "cancel")
    yield "" if policy == "cancel" else policy
    others = [need for need in member.needs if need != parent]
    if others:
        yield f"{'also ' if parent else ''}needs {_named(others)}"
    yield one_line(member.reason)


def _named(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return one_line(", ".join(names[:most])) + more


@graph.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest."
)
@output_option
@pass_app
def list_(app: App, limit: int, output: str) -> None:
    """List graphs, the newest first."""
    found = app.store.graphs.newest(limit)
    if output == JSON:
        print_json(
            [
                {k: v for k, v in each.as_dict().items() if k not in ("counts", "members")}
                for each in found
            ]
        )
        return
    now_ms = app.audit.now_ms()
    print_table(
        ("ID", "NAME", "GROUP", "OFFICE", "JOBS", "AGE"),
        [(g.id, g.name, g.group, g.office, g.jobs, age(g.submitted_at, now_ms)) for g in found],
        empty="no graphs",
    )


@graph.command()
@_id
@output_option
@pass_app
def cancel(app: App, graph_id: str, output: str) -> None:
    """Cancel all jobs of a graph that have not ended; prints how many those were."""
    count = app.store.graphs.cancel(graph_id, "its graph was cancelled")
    if output == JSON:
        print_json({"id": graph_id, "cancelled": count})
    else:
        click.echo(count)
