"""The main job, watched: survey the standard library on a cluster whose leader is killed half-way.

`python -m examples.demo [--keep]`; exits 0 only if the survey is right, nothing was lost and
nothing was run twice.
"""

import argparse
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples import survey
from scheduler import Client, Session, SessionSpec, SessionState
from scheduler.testing import Cluster

REPLICAS = ("replica-1", "replica-2", "replica-3")
AGENTS = ("a1", "a2", "a3")
DEADLINE_S = 50.0
#: Every fourth module is surveyed by a command, the others by a callable.
COMMAND_EVERY = 4


def submit(client: Client, shared: Path) -> tuple[list[Session], Session]:
    """One session per module, in one go; one more that depends on all of them."""
    env = {survey.FOLDER: str(shared)}
    by_command = {**env, "PYTHONPATH": str(Path.cwd())}
    slots = {"cpu": "1", "mem": "256MiB"}
    specs = []
    for index, name in enumerate(survey.modules()):
        if index % COMMAND_EVERY == 0:
            words = [sys.executable, "-m", "examples.survey", "count", name]
            specs.append(SessionSpec(command=words, name=name, env=by_command, slots=slots))
        else:
            specs.append(
                SessionSpec(
                    callable="examples.survey:count", args=[name], name=name, env=env, slots=slots
                )
            )
    counts = client.enqueue_many(specs)
    total = client.enqueue(
        "examples.survey:merge", name="merge", depends_on=counts, env=env, priority=20
    )
    return counts, total


def table(cluster: Cluster, note: str) -> Table:
    """Sessions by state, agents, the leader and its term, as they are now."""
    store = cluster.client.store
    leader = store.leadership.show("default")
    shown = Table(title=note, title_justify="left", expand=False)
    shown.add_column("sessions")
    shown.add_column("agents")
    shown.add_column("leader")
    counts = store.sessions.counts("default")
    agents = store.agents.many(AGENTS)
    leads = (
        leader.get("holder", "-")
        if leader["lock"] and leader["lock"] == leader.get("nonce")
        else "nobody"
    )
    shown.add_row(
        "\n".join(
            f"{state.value.lower():<12}{count:>5}" for state, count in counts.items() if count
        )
        or "none yet",
        "\n".join(
            f"{a.id} {a.status} cpu {a.free.get('cpu', 0) // 1000}/{a.capacity.get('cpu', 0) // 1000} free"
            for a in agents
        ),
        f"{leads}\nterm {leader.get('term', '-')}",
    )
    return shown


class Killer:
    """Kills the leader once half of the sessions have ended, and times the way to the next commit."""

    def __init__(self, cluster: Cluster, half: int) -> None:
        self._cluster = cluster
        self._half = half
        self.killed = ""
        self.successor = ""
        self._killed_at_ms = 0
        self.takeover_ms: int | None = None

    def look(self) -> str:
        """Kill when it is time; a sentence about how it stands."""
        store = self._cluster.client.store
        done = store.sessions.counts("default")[SessionState.SUCCEEDED]
        if not self.killed:
            if done < self._half:
                return f"{done} sessions have succeeded"
            self.killed = self._cluster.wait_for_leader()
            seconds, micros = store.client.time()
            self._killed_at_ms = seconds * 1000 + micros // 1000
            self._cluster.kill(self.killed, signal.SIGKILL)
            return f"{self.killed} leads and gets SIGKILL, with {done} done"
        if self.takeover_ms is None:
            self._time_takeover()
        if self.takeover_ms is None:
            return f"{self.killed} was killed; nobody leads yet"
        return f"{self.killed} was killed; {self.successor} committed again after {self.takeover_ms} ms; {done} done"

    def _time_takeover(self) -> None:
        elected = False
        for event in self._cluster.client.store.events.newest(2_000):
            if int(event.fields["at"]) < self._killed_at_ms:
                continue
            if event.name == "leader.elected":
                elected, self.successor = True, event.fields["holder"]
            elif elected and event.name.startswith("session."):
                self.takeover_ms = int(event.fields["at"]) - self._killed_at_ms
                return


def run(cluster: Cluster, console: Console, shared: Path) -> list[str]:
    """Run the job and check it; sentences about what is wrong."""
    for replica in REPLICAS:
        cluster.start_replica(replica)
    for agent in AGENTS:
        cluster.start_agent(agent, slots="cpu=2,mem=2GiB")
    leader = cluster.wait_for_leader()
    cluster.wait_for_agents(*AGENTS)
    console.print(
        f"Redis: {cluster.redis.kind}; {leader} leads; agents {', '.join(AGENTS)} are ready"
    )
    started = time.perf_counter()
    counts, total = submit(cluster.client, shared)
    submitted = time.perf_counter()
    killer, pause = Killer(cluster, len(counts) // 2), threading.Event()
    with Live(console=console, refresh_per_second=5, transient=not console.is_terminal) as live:
        while (
            not (total.data.ended and killer.takeover_ms)
            and time.perf_counter() - started < DEADLINE_S
        ):
            note = killer.look()
            live.update(table(cluster, note))
            pause.wait(0.1)
    console.print(table(cluster, killer.look()))
    ended = time.perf_counter()
    wrong = verify(cluster, counts, total, shared)
    if killer.takeover_ms is None:
        wrong.append("the leader was killed, and no other committed")
    console.print(
        f"{len(counts) + 1} sessions submitted in {submitted - started:.2f} s, done after {ended - started:.1f} s:"
        f" {(len(counts) + 1) / (ended - started):.0f} per second"
    )
    console.print(
        f"take-over: {killer.killed} killed, {killer.successor} committed {killer.takeover_ms} ms later"
    )
    return wrong


def verify(cluster: Cluster, counts: list[Session], total: Session, shared: Path) -> list[str]:
    """Compare the survey with a direct computation, and ask every witness about losses and doubles."""
    wrong = []
    if total.state is not SessionState.SUCCEEDED:
        return [f"the last session is {total.state}: {total.explain().says}"]
    expected = survey.direct()
    if json.loads((shared / survey.SURVEY).read_text()) != expected or total.result != expected:
        wrong.append("the survey differs from a direct computation")
    ids = [session.id for session in (*counts, total)]
    evidence = cluster.evidence(shared / survey.WITNESS)
    return (
        wrong + evidence.holes() + evidence.ends(ids) + evidence.starts(ids) + evidence.overlaps()
    )


def say_how_to_use(cluster: Cluster, console: Console) -> None:
    console.print("The cluster stays up. In another terminal:")
    console.print(f"  export SCHEDULER_REDIS_URL={cluster.redis.url}", soft_wrap=True)
    console.print("  .venv/bin/scheduler session list")
    console.print("  .venv/bin/scheduler session submit --wait -- echo hello")
    console.print("  .venv/bin/scheduler doctor")
    console.print("Ctrl-C ends it.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="leave the cluster up, and say how to use it"
    )
    keep = parser.parse_args().keep
    # What is piped is not folded.
    console = Console(soft_wrap=not sys.stdout.isatty())
    scratch = Path(tempfile.mkdtemp(prefix="scheduler-demo-"))
    shared = scratch / "survey"
    shared.mkdir()
    with Cluster(scratch) as cluster:
        wrong = run(cluster, console, shared)
        if keep:
            say_how_to_use(cluster, console)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    if wrong:
        console.print(
            *wrong[:20],
            f"What the processes said is in {scratch / 'logs'}",
            sep="\n",
            soft_wrap=True,
        )
        return 1
    shutil.rmtree(scratch, ignore_errors=True)
    console.print("Verified: the survey is right; no session was lost, none was run twice.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
