"""``scheduler session``, but for submit."""

from __future__ import annotations

import pytest

from scheduler.cli.output import print_table
from scheduler.domain.states import SessionState as S
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import NOBODY, World, order_id


def test_a_list_shows_what_lives_before_what_ended(world: World, run: Run) -> None:
    old = world.into(S.FAILED)
    ready, running = world.into(S.READY), world.into(S.RUNNING)
    new = world.into(S.SUCCEEDED)

    said = run("session", "list", "-o", "json")

    assert (0, [running, ready, new, old]) == (said.code, [row["id"] for row in said.json])


def test_a_table_names_state_group_and_agents(world: World, run: Run) -> None:
    session = world.into(S.RUNNING, name="training")

    said = run("session", "list")
    head, row = said.rows

    assert ["ID", "NAME", "STATE", "GROUP", "PRIORITY", "AGE", "AGENTS", "RUNS", "REASON"] == head
    assert [session, "training", "RUNNING", "default", "10"] == row[:5]
    assert "a1" == row[6]
    assert "\x1b" not in said.out


def test_a_list_tells_why_each_failed(world: World, run: Run) -> None:
    """Whoever looks at a list at night has 20 that failed, and no time to explain each."""
    session = world.into(S.RUNNING)
    world.kernels_over(session)
    world.finish(session, S.FAILED, reason="failed", error="'nosuch' cannot be run")

    assert run("session", "list").out.rstrip().endswith("failed: 'nosuch' cannot be run")


def test_a_reason_is_cut_where_the_terminal_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    print_table(("ID", "REASON"), [(NOBODY, "why " * 30)], cut=("REASON",))

    _, row = capsys.readouterr().out.splitlines()
    assert row.startswith(f"{NOBODY}  why why")
    assert row.endswith("…")
    assert len(row) <= 60


def test_a_list_of_one_state_is_that_state(world: World, run: Run) -> None:
    world.into(S.READY)
    failed = world.into(S.FAILED)

    said = run("session", "list", "--state", "failed", "-o", "json")

    assert [failed] == [row["id"] for row in said.json]


def test_ready_sessions_are_listed_in_the_order_of_the_queue(world: World, run: Run) -> None:
    first, second = world.submit(), world.submit()
    urgent = world.submit(priority=90)

    said = run("session", "list", "--state", "READY", "-o", "json")

    assert [urgent, first, second] == [row["id"] for row in said.json]


def test_a_list_that_is_cut_says_so_beside_the_output(world: World, run: Run) -> None:
    for _ in range(3):
        world.submit()

    said = run("session", "list", "--limit", "2")

    assert 3 == len(said.rows)
    assert "2 of 3 are shown; --limit shows more.\n" == said.err


def test_an_empty_list_is_no_error(world: World, run: Run) -> None:
    _ = world

    assert (0, "", "There are no such sessions.\n") == _parts(run("session", "list"))
    assert [] == run("session", "list", "-o", "json").json


def test_a_session_is_shown_with_kernels_attempts_and_result(world: World, run: Run) -> None:
    session = world.into(S.RUNNING, name="training", keypair="k1")
    world.kernels_over(session)
    world.finish(session)
    world.client.set(world.keys.result(session), '{"loss": 0.5}')

    table, document = run("session", "show", session), run("session", "show", session, "-o", "json")

    for text in (session, "SUCCEEDED", "training", "keypair k1", "ENDED", '{"loss":0.5}'):
        assert text in table.out
    assert {"loss": 0.5} == document.json["result"]
    assert ["ENDED"] == [kernel["state"] for kernel in document.json["kernels"]]
    assert ["SUCCEEDED"] == [attempt["outcome"] for attempt in document.json["attempts"]]
    assert document.json["submitted_at"] > 1_500_000_000_000


def test_control_characters_of_an_error_do_not_reach_a_table(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    world.kernels_over(session)
    world.finish(session, S.FAILED, reason="red \x1b[31m text")

    said = run("session", "list")

    assert "\x1b" not in said.out


def test_explain_names_who_says_no_and_the_cure(world: World, run: Run) -> None:
    parent = world.submit()
    session = world.submit(depends_on=[parent])

    table, document = (
        run("session", "explain", session),
        run("session", "explain", session, "-o", "json"),
    )

    assert "dependencies" in table.out
    assert parent in table.out
    assert ["dependencies"] == [refusal["by"] for refusal in document.json["refusals"]]


@pytest.mark.parametrize("verb", ["show", "explain", "cancel", "logs", "wait", "retry"])
@pytest.mark.parametrize("session", [NOBODY, "x:payload", "nonsense\nmore"])
def test_an_unknown_session_is_one_sentence_and_exit_3(
    world: World, run: Run, verb: str, session: str
) -> None:
    _ = world

    said = run("session", verb, session)

    assert (3, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert said.err.endswith("it may have been forgotten after its retention.\n")


def test_cancel_answers_for_each_session(world: World, run: Run) -> None:
    ready, running, ended = world.into(S.READY), world.into(S.RUNNING), world.into(S.SUCCEEDED)

    said = run("session", "cancel", ready, running, ended)

    assert [[ready, "cancelled"], [running, "accepted"], [ended, "ended"]] == said.rows
    assert (0, S.CANCELLED) == (said.code, world.state(ready))


def test_an_unknown_session_does_not_keep_others_from_being_cancelled(
    world: World, run: Run
) -> None:
    ready = world.into(S.READY)

    said = run("session", "cancel", NOBODY, ready, "-o", "json")

    assert (3, [{"id": ready, "answer": "cancelled"}]) == (said.code, said.json)


def test_cancel_all_reaches_every_page(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.store.audit.AuditRepository.ids.__defaults__", (2,))
    waiting = [world.submit() for _ in range(5)] + [world.into(S.PENDING) for _ in range(3)]
    running = [world.into(S.RUNNING) for _ in range(5)]
    ended = world.into(S.SUCCEEDED)

    said = run("session", "cancel", "--all", "-o", "json")

    assert {"cancelled": 8, "accepted": 5} == said.json
    assert {S.CANCELLED} == {world.state(session) for session in waiting}
    assert all(world.get(session).cancel_requested for session in running)
    assert world.state(ended) is S.SUCCEEDED


def test_cancel_all_of_a_group_leaves_others_alone(world: World, run: Run) -> None:
    world.groups.configure("other", {})
    here, there = world.submit(), world.submit(group="other")

    said = run("session", "cancel", "--all", "--group", "other")

    assert ("1 cancelled\n", S.READY, S.CANCELLED) == (
        said.out,
        world.state(here),
        world.state(there),
    )


@pytest.mark.parametrize("words", [[], [NOBODY, "--all"], [NOBODY, "--group", "default"]])
def test_cancel_needs_ids_or_all(world: World, run: Run, words: list[str]) -> None:
    _ = world

    said = run("session", "cancel", *words)

    assert (2, "") == (said.code, said.out)
    assert said.err.startswith("Give ids, or --all")


def test_logs_are_printed_as_they_are(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    _print(world, session, "one\ntwo", " and a half\n")

    table, lines = run("session", "logs", session), run("session", "logs", session, "-o", "json")

    assert "one\ntwo and a half\n" == table.out
    assert 2 == len(lines.out.splitlines())


def test_each_stream_of_a_log_is_printed_where_the_kernel_wrote_it(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    _print(world, session, "out\n")
    _print(world, session, "err\n", stream="stderr")

    assert (0, "out\n", "err\n") == _parts(run("session", "logs", session))


@pytest.mark.parametrize(
    ("count", "out", "err"),
    [
        (0, "", ""),
        (1, "3 and the rest", ""),
        (2, "3 and the rest", "warn\n"),
        (3, "2\n3 and the rest", "warn\n"),
        (9, "1\n2\n3 and the rest", "warn\n"),
    ],
)
def test_the_last_lines_of_a_log_may_have_come_in_pieces(
    world: World, run: Run, count: int, out: str, err: str
) -> None:
    session = world.into(S.RUNNING)
    _print(world, session, "1\n2\n3 and")
    _print(world, session, "warn\n", stream="stderr")
    _print(world, session, " the", " rest")

    assert (0, out, err) == _parts(run("session", "logs", session, "--tail", str(count)))


def test_of_a_session_of_several_kernels_it_is_said_whose_output_it_is(
    world: World, run: Run
) -> None:
    session = world.into(S.RUNNING, cluster_size=2)

    said = run("session", "logs", session, "--kernel", "1")

    says = f"This is kernel 1 of 0 to 1; `scheduler session logs {session} --kernel N` shows another.\n"
    assert (0, "", says) == _parts(said)


def test_followed_logs_end_with_the_session(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    _print(world, session, "one\n")
    world.end(session)

    assert (0, "one\n", "") == _parts(run("session", "logs", session, "-f"))


def test_logs_of_a_session_that_never_ran_are_not_found(world: World, run: Run) -> None:
    session = world.into(S.CANCELLED)

    for words in ([], ["-f"], ["--attempt", "7"]):
        said = run("session", "logs", session, *words)
        assert (3, "") == (said.code, said.out)


def test_logs_follow_no_earlier_attempt(world: World, run: Run) -> None:
    said = run("session", "logs", world.submit(), "-f", "--attempt", "1")

    assert 2 == said.code


def test_wait_says_how_it_ended(world: World, run: Run) -> None:
    done = world.into(S.SUCCEEDED)

    assert (0, "SUCCEEDED\n", "") == _parts(run("session", "wait", done))
    assert "SUCCEEDED" == run("session", "wait", done, "-o", "json").json["state"]


def test_wait_for_a_failure_exits_1_with_its_reason(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    world.kernels_over(session)
    error = "Traceback (most recent call last):\n  ...\nValueError: no such file"
    world.finish(session, S.FAILED, reason="raised", error=error)

    said = run("session", "wait", session)

    assert (1, f"Session {session} ended FAILED: ValueError: no such file.\n") == (
        said.code,
        said.err,
    )


def test_wait_gives_up(world: World, run: Run) -> None:
    session = world.submit()

    said = run("session", "wait", session, "--timeout", "10ms")

    assert (124, f"Session {session} did not end within 0.01 s; it is READY.\n") == (
        said.code,
        said.err,
    )
    later = run("session", "wait", session, "--timeout", "10ms", "-o", "json")
    assert (124, "READY") == (later.code, later.json["state"])


def test_retry_names_what_runs_again(world: World, run: Run) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    world.place(parent)
    world.start(parent)
    world.end(parent, S.FAILED)
    world.resolve_all()

    said = run("session", "retry", parent, "--with-dependents")

    assert [[parent], [child]] == said.rows
    assert (S.READY, S.PENDING) == (world.state(parent), world.state(child))


def test_retry_of_what_runs_is_refused(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)

    said = run("session", "retry", session)

    assert (4, "") == (said.code, said.out)
    assert said.err.startswith(f"Session {session} is RUNNING; retry works only in ")


def test_a_group_that_does_not_exist_is_not_found(world: World, run: Run) -> None:
    _ = world

    said = run("session", "list", "--group", "nosuch")

    assert (3, "Scaling group 'nosuch' does not exist; known groups: default.\n") == (
        said.code,
        said.err,
    )


def _parts(said: object) -> tuple[object, ...]:
    return tuple(vars(said).values())


def _print(world: World, session: str, *texts: str, stream: str = "stdout") -> None:
    data = world.get(session)
    for text in texts:
        world.mailbox().log(order_id(data), stream, text, cap=10_000, ttl_s=60)
