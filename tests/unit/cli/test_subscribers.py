"""Subscribers on the command line."""

from __future__ import annotations

import base64

import pytest

from scheduler.protocol.signing import subscriber_key
from scheduler.store.subscribers import Failed
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import World, contents

URL = "https://ci.example.org/hooks"


def test_a_subscriber_is_added_listed_and_removed(world: World, run: Run) -> None:
    """K12."""
    added = run("subscriber", "add", "ci", "--url", URL, "--events", "session.*")
    world.submit()

    assert "subscriber ci added\n" == added.out
    assert ["ci", "webhook", "session.*", "0", "0", "1", "running"] == run(
        "subscriber", "list"
    ).rows[1]
    shown = run("subscriber", "show", "ci", "-o", "json").json
    assert (1, {"url": "https://ci.example.org/***"}, None) == (
        shown["behind"],
        shown["opts"],
        shown["parked_at"],
    )
    assert "subscriber ci removed\n" == run("subscriber", "remove", "ci").out
    assert 3 == run("subscriber", "show", "ci").code


def test_one_that_failed_is_resumed_without_the_event_it_could_not_take(
    world: World, run: Run
) -> None:
    run("subscriber", "add", "ci", "--url", URL, "--events", "session.cancelled")
    session = world.submit()
    world.sessions.cancel(session)
    world.subscribers.fail(world.subscribers.get("ci"), Failed("it said no", 1_000, 0))

    assert "parked: it said no" in run("subscriber", "list").out
    assert "subscriber ci resumed\n" == run("subscriber", "resume", "ci", "--skip").out
    cursor = world.subscribers.get("ci").cursor
    passed = next(e for e in world.events.since("0-0") if e.name == "session.cancelled")
    assert (cursor, False) == (passed.id, world.subscribers.get("ci").parked)
    assert 3 == run("subscriber", "resume", "ci", "--skip").code
    assert "was not held up" in run("subscriber", "resume", "ci").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--url", "ftp://x"], "it must be a URL such as"),
        (["--url", URL, "--events", "session.begun"], "names no event"),
        (["--url", URL, "--opt", "color=red"], "webhook has no option 'color'"),
        (["--kind", "pigeon"], "no kind of subscriber named 'pigeon'"),
        ([], "Give --url, or --kind with its options"),
        (["--url", URL, "--throttle", "10"], "so many messages per time"),
        (["--url", URL, "--throttle", "0/5m"], "so many messages per time"),
        (["--url", URL, "--throttle", "3/9d"], "so many messages per time"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    world: World, run: Run, words: list[str], says: str
) -> None:
    before = contents(world.client)

    refused = run("subscriber", "add", "ci", *words)

    assert (2, True) == (refused.code, says in refused.err)
    assert before == contents(world.client)


def test_the_secret_is_what_signs(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_SECRET", "a secret of the tests")

    printed = run("subscriber", "secret", "ci").out.strip().removeprefix("whsec_")

    key = subscriber_key("a secret of the tests", world.keys.root, "ci")
    assert bytes.fromhex(key) == base64.b64decode(printed)
