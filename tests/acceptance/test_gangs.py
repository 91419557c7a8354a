"""Sessions over several real agents: ranks that talk, die and are rescued together; a mode of a plugin."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from scheduler import Session, SessionSpec, SessionState
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.acceptance.ports import free_ports

pytestmark = pytest.mark.acceptance

Make = Callable[..., Bench]
GANGS = "tests.acceptance.gangs"
#: Of which one fits on an agent, and two on another.
KERNELS = [{"cpu": "4"}, {"cpu": "2"}, {"cpu": "2"}]


def with_agents(make_bench: Make, labels: dict[str, str]) -> Bench:
    """Agents that know their address, each with a label."""
    bench = make_bench(agents=0)
    for name, label in labels.items():
        bench.cluster.start_agent(name, "--address", "127.0.0.1", "--label", label)
    bench.cluster.wait_for_agents(*labels)
    return bench


def three(make_bench: Make) -> Bench:
    return with_agents(make_bench, {f"a{i}": f"rack=r{i}" for i in (1, 2, 3)})


def enqueue(bench: Bench, kernel: str, *args: object, **more: object) -> Session:
    spec = SessionSpec(
        callable=f"{GANGS}:{kernel}",
        args=args,
        env={"WITNESS_FILE": str(bench.witness)},
        **({"cluster_mode": "multi-node", "kernels": KERNELS} | more),  # type: ignore[arg-type]
    )
    return bench.enqueue_many([spec])[0]


def processes(folder: Path) -> list[int]:
    """The process of each rank, once all three have said which they are."""
    files = [folder / f"rank{rank}" for rank in range(3)]
    wait_until(
        lambda: all(file.exists() for file in files), within=60, saying="not all ranks came up"
    )
    return [int(file.read_text()) for file in files]


def test_ranks_on_several_agents_pass_a_token_to_each_other(make_bench: Make) -> None:
    """K10: started together, they know rank, size, hosts and role; each needs its peers to end."""
    bench = three(make_bench)
    session = enqueue(bench, "exchange", free_ports(3), labels={"rack": "r1|r3"})
    told = session.get(timeout=60)
    kernels = session.data.kernels

    assert {"token": [0, 1, 2], "role": "main", "hosts": ["127.0.0.1"] * 3} == told
    assert {"a1", "a3"} == {kernel.agent for kernel in kernels}
    bench.check()


def test_a_killed_kernel_takes_all_its_peers_with_it(make_bench: Make, tmp_path: Path) -> None:
    """K10: one kernel's failure stops the others, on every agent."""
    bench = three(make_bench)
    session = enqueue(bench, "hold", str(tmp_path))
    ranks = processes(tmp_path)
    os.kill(ranks[1], signal.SIGKILL)
    data = session.wait(timeout=60)

    assert SessionState.FAILED is data.state
    assert not [pid for pid in ranks if psutil.pid_exists(pid)]
    bench.check()


@pytest.mark.timeout(180)
def test_a_gang_outlives_the_agent_of_one_of_its_kernels(make_bench: Make, tmp_path: Path) -> None:
    """K10, X8: SIGKILL of an agent; all kernels run again, where there is room, and find each other."""
    bench = three(make_bench)
    session = enqueue(bench, "hold_then_exchange", str(tmp_path), free_ports(3))
    processes(tmp_path)
    victim = session.data.kernels[1].agent
    bench.cluster.kill(victim)
    told = session.get(timeout=120)
    data = session.data

    assert [0, 1, 2] == told["token"]
    assert victim not in {kernel.agent for kernel in data.kernels}
    assert (2, 1) == (data.attempt, data.rescues)
    bench.check(runs=2)


def test_a_cluster_mode_of_another_distribution_is_used_by_its_name(
    make_bench: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K19: `spread`, one kernel per rack; installed beside the product, named on the command line."""
    site = tmp_path / "site"
    facts = site / "acme_spread-1.0.dist-info"
    facts.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "examples" / "spread.py", site / "acme_spread.py")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-spread\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[scheduler.cluster_modes]\nspread = acme_spread:Spread\n"
    )
    known = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(site), known))))
    bench = with_agents(make_bench, {"a1": "rack=r1", "a2": "rack=r1", "a3": "rack=r2"})

    def spread(*kernels: str) -> Session:
        options = [word for slots in kernels for word in ("--kernel", slots)]
        command = ["session", "submit", "--cluster-mode", "spread", *options, "-o", "json"]
        done = subprocess.run(
            [sys.executable, "-m", "scheduler.cli", *command, "--", "true"],
            env=bench.cluster.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return bench.client.session(json.loads(done.stdout)["id"])

    two, too_many = spread("cpu=1", "cpu=2"), spread("cpu=1", "cpu=1", "cpu=1")
    two.get(timeout=60)
    wait_until(
        lambda: too_many.explain().refusals, within=90, saying="the third rack was not missed"
    )
    racks = {"a1": "r1", "a2": "r1", "a3": "r2"}

    assert ["r1", "r2"] == sorted(racks[kernel.agent] for kernel in two.data.kernels)
    assert (
        "there is room now for some of its 3 kernels, but not for all at a time"
        == too_many.explain().says
    )
