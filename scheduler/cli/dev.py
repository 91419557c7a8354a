"""``scheduler dev``: a whole cluster in the foreground."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from scheduler import bootstrap
from scheduler.cli.context import App, pass_app
from scheduler.cli.processes import ProcessGroup
from scheduler.cli.replica import stop_signals
from scheduler.domain.agent import AgentStatus
from scheduler.domain.errors import Refused, StoreUnavailable
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.domain.slots import parse_capacity
from scheduler.settings import Settings, load
from scheduler.store.embedded import EmbeddedRedis, EmbeddedRedisError

PROGRAM = "scheduler"
#: Seconds between two looks at the processes.
LOOK_S = 0.2
#: Colours of the names before the lines, one after the other.
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green")


@click.command()
@click.option("--replicas", type=click.IntRange(1, 20), default=2, show_default=True)
@click.option("--agents", type=click.IntRange(0, 50), default=2, show_default=True)
@click.option(
    "--slots", default="cpu=2,mem=2GiB", show_default=True, help="What each agent offers."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where Redis and agents keep data.  [default: forgotten at the end]",
)
@pass_app
def dev(app: App, replicas: int, agents: int, slots: str, data: Path | None) -> None:
    """Run Redis, replicas and agents here until Ctrl-C.

    Redis is one of our own unless --redis names another. What dies is started again. For one
    developer: the agents run every command they are given.
    """
    parse_capacity(slots)
    settings = app.settings()
    asked_to_stop = stop_signals()
    with ExitStack() as running:
        folder = data or Path(running.enter_context(tempfile.TemporaryDirectory()))
        url = app.redis_url or _own_redis(running, folder / "redis")
        store = bootstrap.open_store(load(redis_url=url, namespace=settings.namespace))
        running.callback(store.client.close)
        store.groups.names()  # one that was named and is not there is said now, by all of its own for ever
        group = running.enter_context(ProcessGroup(prefixed_lines()))
        environment = _environment(settings, url)
        for number in range(1, replicas + 1):
            name = f"replica-{number}"
            group.start(name, replica_command(name), environment)
        for number in range(1, agents + 1):
            name = f"agent-{number}"
            group.start(name, agent_command(name, slots, folder / "agents"), environment)
        if watch(group, asked_to_stop, lambda: serves(store, agents)):
            click.echo(usage(url, settings.namespace))
            watch(group, asked_to_stop, lambda: False)
        click.echo("Stopping.")


def _environment(settings: Settings, url: str) -> dict[str, str]:
    """What the processes are told; without a secret, one of this run's own."""
    given = settings.secret or settings.secret_file
    return {
        "SCHEDULER_REDIS_URL": url,
        "SCHEDULER_NAMESPACE": settings.namespace,
        "SCHEDULER_SECRET": settings.cluster_secret() if given else secrets.token_hex(32),
        # The same packages, however we found them ourselves.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def watch(group: ProcessGroup, asked_to_stop: threading.Event, done: Callable[[], bool]) -> bool:
    """Start again what dies, until done or asked to stop; whether it is done."""
    while not asked_to_stop.wait(LOOK_S):
        group.revive()
        if done():
            return True
    return False


def serves(store: bootstrap.Store, agents: int) -> bool:
    """Whether somebody leads and all agents take work."""
    try:
        admitted = store.agents.many(store.agents.ids(DEFAULT_GROUP))
        ready = sum(agent.status is AgentStatus.READY for agent in admitted)
        return bool(store.leadership.show(DEFAULT_GROUP)["lock"]) and ready >= agents
    except StoreUnavailable:
        return False


def replica_command(name: str) -> list[str]:
    """The argument vector of a replica."""
    return [sys.executable, "-m", "scheduler.cli", "replica", "run", "--name", name]


def agent_command(name: str, slots: str, state: Path) -> list[str]:
    """The argument vector of an agent that runs whatever it is told."""
    return [
        *(sys.executable, "-m", "scheduler.cli", "agent", "run"),
        *("--id", name, "--slots", slots, "--state-dir", str(state)),
        *("--allow", "*", "--allow-commands"),
    ]


def usage(url: str, namespace: str) -> str:
    """How to speak to the cluster from another shell."""
    return (
        "In another shell:\n"
        f"  export SCHEDULER_REDIS_URL={url}\n"
        f"  export SCHEDULER_NAMESPACE={namespace}\n"
        f"  {program()} session submit --wait -- echo hello\n"
        "Ctrl-C stops everything."
    )


def program() -> str:
    """How this program is called from another shell: its name where that finds it, else its path."""
    beside = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM)
    if found and Path(found).resolve() == beside.resolve():
        return PROGRAM
    return str(beside) if beside.exists() else f"{sys.executable} -m scheduler.cli"


def prefixed_lines() -> Callable[[str, str], None]:
    """Print lines with the name of their process before them; whole lines, from many threads."""
    colours: dict[str, str] = {}
    lock = threading.Lock()

    def hear(name: str, line: str) -> None:
        with lock:
            colour = colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)])
            click.echo(f"{click.style(f'{name:<10}', fg=colour)} | {line}")

    return hear


def _own_redis(running: ExitStack, folder: Path) -> str:
    """Start a Redis that ends with us; its address. Raises Refused."""
    try:
        return running.enter_context(EmbeddedRedis(folder)).url
    except EmbeddedRedisError as error:
        raise Refused(why=str(error).rstrip(".")) from error
