"""Callbacks on the command line."""

from __future__ import annotations

import base64

import pytest

from scheduler.protocol.signing import callback_key
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import World, contents
from tests.unit.store.words_of_callbacks import AGAIN, AT_LAST, URL, outbox, taken

HOST = "https://ci.example.org"


def test_a_session_shows_how_its_callback_goes_and_never_the_address(
    world: World, run: Run
) -> None:
    """J13."""
    words = ["--callback", URL, "--", "true"]
    session = run("session", "submit", *words).out.strip()
    assert f"{HOST}/*** (when it has ended)" in run("session", "show", session).out
    world.sessions.cancel(session)
    one = outbox(world).take(1, 60_000)[0]
    outbox(world).fail(one, AGAIN)

    shown = run("session", "show", session).out
    assert "(failing: it said no)" in shown
    details = run("session", "show", session, "-o", "json")
    assert f"{HOST}/***" == details.json["callback"]
    assert "abcdef" not in shown + details.out

    assert [] == outbox(world).take(9, 60_000), "it was due before its time"
    outbox(world).done(one)
    assert "(delivered " in run("session", "show", session).out


def test_hosts_and_what_was_given_up_are_listed_and_resumed(world: World, run: Run) -> None:
    assert "No callbacks wait" in run("callback", "list").err
    first, second = taken(world), taken(world, "http://other.example.org/x")
    outbox(world).fail(first, AGAIN)
    outbox(world).fail(second, AT_LAST)

    listed = run("callback", "list")
    assert [HOST, "1", "0"] == listed.rows[1][:3]
    assert "http://other.example.org/***" in listed.out
    assert "callbacks: 1 waiting, 1 parked" in run("subscriber", "list").err
    both = run("callback", "list", "-o", "json").json
    assert ([HOST], [second.callback.session]) == (
        [lane["host"] for lane in both["hosts"]],
        [parked["session"] for parked in both["parked"]],
    )
    assert "0 resumed\n" == run("callback", "resume", first.callback.session).out
    assert "1 resumed\n" == run("callback", "resume", second.callback.session).out
    assert "0 resumed\n" == run("callback", "resume", "--all").out
    assert 2 == run("callback", "resume").code


def test_the_secret_is_that_of_the_host(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_SECRET", "a secret of the tests")

    printed = run("callback", "secret", URL).out.strip().removeprefix("whsec_")

    key = callback_key("a secret of the tests", world.keys.root, HOST)
    assert bytes.fromhex(key) == base64.b64decode(printed)
    wrong = run("callback", "secret", "ftp://x")
    assert (2, True) == (wrong.code, wrong.err.startswith("Bad setting URL: it must be an http"))


def test_a_bad_address_writes_nothing(world: World, run: Run) -> None:
    before = contents(world.client)

    refused = run("session", "submit", "--callback", "ftp://x/t0ken", "--", "true")

    assert (2, True) == (refused.code, "must be an http or https address" in refused.err)
    assert "t0ken" not in refused.err
    assert before == contents(world.client)
