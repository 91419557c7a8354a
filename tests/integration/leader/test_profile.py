"""A profile of a leader at work, asked for on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scheduler.cli.app import cli
from scheduler.cli.context import App
from scheduler.operations import profiling
from tests.integration.leader.world import GROUP, Cluster, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]


def profile(cluster: Cluster, *words: str) -> Result:
    app = App(redis_url=cluster.url, namespace=cluster.namespace, opened=cluster.store)
    asked = ["replica", "profile", *words]
    return CliRunner().invoke(cli, asked, obj=app, catch_exceptions=False)


def test_a_leader_writes_a_profile_of_itself(cluster: Cluster, tmp_path: Path) -> None:
    """K16."""
    cluster.leader("r1")
    cluster.agent().start()
    cluster.submit(200)

    page, text = tmp_path / "r1.html", tmp_path / "r1.txt"
    told = profile(cluster, "r1", "--seconds", "0.5", "--output", str(page))
    again = profile(cluster, "r1", "--seconds", "0.3", "--group", GROUP, "--output", str(text))
    printed = profile(cluster, "r1", "--seconds", "0.2")

    assert (0, 0, 0) == (told.exit_code, again.exit_code, printed.exit_code)
    assert told.stdout.endswith(f"are in {page}\n")
    assert page.read_text().lstrip().startswith("<!DOCTYPE html>")
    assert "run_once" in text.read_text()
    assert "run_once" in printed.stdout
    cluster.done(200)


def test_who_does_not_lead_gives_none(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.leader("r1")

    unknown = profile(cluster, "r9", "--seconds", "0.1")
    elsewhere = profile(cluster, "r1", "--seconds", "0.1", "--group", "other")
    monkeypatch.setattr(profiling, "_SLACK_S", -1.0)
    late = profile(cluster, "r1", "--seconds", "0.1")

    assert (3, 4, 4) == (unknown.exit_code, elsewhere.exit_code, late.exit_code)
    assert "Replica 'r9' leads no scaling group now; leaders are: r1 (default)." in unknown.stderr
    assert "r1 does not lead group other now (unknown group)" in elsewhere.stderr
    assert "gave no profile in time" in late.stderr


def test_who_leads_several_groups_is_asked_for_one(cluster: Cluster) -> None:
    cluster.store.groups.configure("other", {})
    replica = cluster.replica("r1", [GROUP, "other"])
    wait_until(lambda: len(replica.health()["leads"]) == 2, saying="it leads both")

    found = profile(cluster, "r1", "--seconds", "0.1")

    assert 4 == found.exit_code
    assert "r1 leads default, other; name one with --group" in found.stderr
