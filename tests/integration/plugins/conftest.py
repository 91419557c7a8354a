"""Distributions of plugins, installed beside the product for one test."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from scheduler.plugins import loading
from tests.integration.leader.conftest import cluster, leader_redis

__all__ = ["cluster", "leader_redis"]

EXAMPLES = Path(__file__).parents[3] / "examples"
Install = Callable[[Path, Sequence[Path]], None]


def lay_out(project: Path, modules: Sequence[Path], site: Path) -> None:
    """What pip leaves of a project: its modules, and what importlib.metadata reads. No network, no build."""
    facts = tomllib.loads(project.read_text())["project"]
    for module in modules:
        shutil.copy(module, site)
    info = site / f"{facts['name'].replace('-', '_')}-{facts['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {facts['name']}\nVersion: {facts['version']}\n"
    )
    lines = []
    for group, points in facts["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def forget_installed() -> None:
    """As a program's next start does."""
    loading._installed.cache_clear()
    loading.cluster_mode_names.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a project; what was imported of it is forgotten afterwards."""
    site, before = tmp_path / "site", set(sys.modules)
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    forget_installed()

    def put(project: Path, modules: Sequence[Path]) -> None:
        lay_out(project, modules, site)
        forget_installed()

    yield put
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    forget_installed()


@pytest.fixture
def acme(install: Install) -> None:
    """The example distribution."""
    folder = EXAMPLES / "acme"
    install(folder / "pyproject.toml", sorted(folder.glob("*.py")))
