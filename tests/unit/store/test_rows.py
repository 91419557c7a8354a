"""Records and values: the same both ways, kernels and attempts inside."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain import moves as m
from scheduler.domain.agent import AgentStatus, Beat
from scheduler.domain.ids import SessionId
from scheduler.domain.request import request_of
from scheduler.domain.session import AttemptData, KernelData, SessionData
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import KernelState, SessionState
from scheduler.store.rows import (
    agent_from_record,
    beat_from_text,
    row_from_session,
    session_from_row,
)
from tests.unit.store.lives import FAR, S, World

REQUEST = request_of(SessionSpec(callable="a:b"))

names = st.text(string.ascii_letters + " -_é:%", max_size=8)
times = st.integers(0, 2**52)
maybe = st.none() | times
slots = st.dictionaries(
    st.sampled_from(["cpu", "mem", "cuda.0"]), st.integers(1, 2**53 - 1), max_size=3
)


@st.composite
def sessions(draw: st.DrawFn) -> SessionData:
    kernel = st.builds(
        KernelData,
        index=st.just(0),
        state=st.sampled_from(KernelState),
        agent=names.filter(bool),
        boot=names.filter(bool),
        slots=slots,
        exit_code=st.none() | st.integers(0, 255),
        signal=st.none() | st.integers(1, 64),
        reason=names,
        error=names,
    )
    attempt = st.builds(
        AttemptData,
        attempt=st.just(1),
        agents=st.lists(names, max_size=3).map(tuple),
        started_at=times,
        placement=names,
        deadline=maybe,
        ended_at=maybe,
        outcome=names,
        error=names,
    )
    kernels = draw(st.lists(kernel, max_size=3))
    history = draw(st.lists(attempt, max_size=12))
    counts: dict[str, Any] = {
        name: draw(st.integers(0, 10**6))
        for name in (
            "priority",
            "seq",
            "submitted_at",
            "attempt",
            "rescues",
            "unmet",
            "retries_from",
        )
    }
    return SessionData(
        id=SessionId("0" * 26),
        group=draw(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,6}[A-Za-z0-9])?", fullmatch=True)),
        name=draw(names),
        state=draw(st.sampled_from(SessionState)),
        request=REQUEST,
        payload_digest=draw(names),
        placement=draw(names),
        reason=draw(names),
        error=draw(names),
        not_before=draw(maybe),
        placed_at=draw(maybe),
        running_at=draw(maybe),
        ended_at=draw(maybe),
        cancel_requested=draw(st.none() | names),
        unsealed=draw(st.booleans()),
        idempotency_key=draw(st.none() | names.filter(bool)),
        callback=draw(st.sampled_from(["", "https://ci.example.org/done?x=1"])),
        callback_told=draw(names),
        kernels=tuple(_numbered(kernel, index) for index, kernel in enumerate(kernels)),
        history=tuple(
            _numbered_attempt(row, number) for number, row in enumerate(history, start=1)
        ),
        **counts,
    )


def _numbered(kernel: KernelData, index: int) -> KernelData:
    values = {name: getattr(kernel, name) for name in KernelData.__slots__}
    return KernelData(**(values | {"index": index}))


def _numbered_attempt(row: AttemptData, number: int) -> AttemptData:
    values = {name: getattr(row, name) for name in AttemptData.__slots__}
    return AttemptData(**(values | {"attempt": number}))


NONSENSE = ["", "x", " 1", "1_0", "-1", "1.5", "1e3", "٣", "[", "9" * 5000, "[" * 5000, "\ud800"]


@given(sessions(), st.data())
def test_nonsense_in_any_field_is_named_and_raises_nothing(
    data: SessionData, draw: st.DataObject
) -> None:
    """W4: whatever a hand or a defect has left there."""
    row = row_from_session(data)
    field = draw.draw(st.sampled_from(sorted(row)))
    text = draw.draw(st.sampled_from(NONSENSE))
    gone = draw.draw(st.booleans())
    spoilt = {name: value for name, value in row.items() if name != field or not gone}
    if not gone:
        spoilt[field] = text

    found = session_from_row(data.id, spoilt, REQUEST)

    assert set(found.unreadable) <= {field}
    assert data.unreadable == session_from_row(data.id, row, REQUEST).unreadable == ()
    if found.unreadable:
        assert f"its record in Redis makes no sense ({field})" in found.why


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("state", "banana"),
        ("group", "no:name"),
        ("priority", "abc"),
        ("seq", "x"),
        ("submitted_at", "yesterday"),
        ("attempt", "one"),
        ("unmet", "x"),
        ("not_before", "soon"),
        ("kernels", "x"),
        ("kernels", "100000000"),
        ("kernel:0:state", "banana"),
        ("kernel:0:slots", "[1"),
        ("kernel:0:slots", '{"cpu":"much"}'),
        ("kernel:0:exit_code", "none"),
        ("history:1", "{"),
        ("history:1", '{"attempt":"x"}'),
        ("history:1", '{"attempt":1,"agents":[],"started_at":1,"more":2}'),
    ],
)
def test_a_field_that_makes_no_sense_is_named_and_the_others_stand(field: str, text: str) -> None:
    row = {
        "group": "default",
        "state": "RUNNING",
        "priority": "10",
        "seq": "1",
        "request": "r",
        "digest": "d",
        "submitted_at": "1",
        "name": "n",
        "kernels": "1",
        "kernel:0:state": "UP",
        "kernel:0:agent": "a1",
        "kernel:0:boot": "b",
        "kernel:0:slots": '{"cpu":1000}',
    }

    found = session_from_row("0" * 26, row | {field: text}, REQUEST)

    assert ((field,), "n", 1) == (found.unreadable, found.name, len(found.kernels))
    assert found.kernels[0].state in (KernelState.UP, row["kernel:0:state"])
    assert (field == "state") == (found.state is S.FAILED)


def test_a_record_of_the_store_is_understood_in_every_state(world: World) -> None:
    """K5: what Lua writes, Python reads and would write the same."""
    for state in S:
        session = world.into(state, name="n", idempotency_key=state)
        data = world.get(session)

        assert data == session_from_row(session, row_from_session(data), data.request)
        assert (state, "n", state) == (data.state, data.name, data.idempotency_key)


def test_a_history_row_is_kept_for_each_attempt(world: World) -> None:
    """J3."""
    session = world.into(S.RETRYING, retries=3)
    world.settle(session, "requeue")
    world.place(session)
    world.start(session)
    world.end(session)

    first, second = world.get(session).history

    assert [(1, "RETRYING"), (2, "SUCCEEDED")] == [
        (row.attempt, row.outcome) for row in (first, second)
    ]
    assert ("a1",) == first.agents == second.agents
    assert first.placement != second.placement
    assert first.ended_at
    assert second.ended_at
    assert first.started_at <= first.ended_at <= second.started_at <= second.ended_at


def test_a_start_time_is_kept_in_ms(world: World) -> None:
    assert int(FAR.timestamp() * 1000) == world.get(world.submit(not_before=FAR)).not_before


def test_an_agents_record_is_read() -> None:
    """W4."""
    data = agent_from_record(
        "a1",
        {
            "group": "g",
            "boot": "b",
            "status": "ready",
            "drained": "1",
            "total:cuda.0": "1000",
            "free:cuda.0": "540",
            "models": '{"cuda":"V100"}',
            "labels": '{"zone":"a"}',
            "lease_ms": "5000",
        },
    )

    assert ("a1", "g", "b", AgentStatus.READY, True) == (
        data.id,
        data.group,
        data.boot,
        data.status,
        data.drained,
    )
    assert ({"cuda.0": 1000}, {"cuda.0": 540}) == (data.capacity, data.free)
    assert ({"cuda": "V100"}, {"zone": "a"}, 5000) == (data.models, data.labels, data.lease_ms)
    assert (3_000, 0, "", "") == (data.grace_ms, data.max_kernels, data.candidate, data.refused)


def test_an_agent_that_only_waits_has_a_record_too(world: World) -> None:
    world.apply(m.Answer("a2", "default", "f" * 32, "waiting", "why"))

    assert AgentStatus.WAITING is world.agents.get("a2").status
    assert ["a1", "a2"] == world.agents.ids("default")


def test_a_beat_is_read() -> None:
    beat = beat_from_text('{"at":12,"boot":"b","claims":3,"running":["x"]}')

    assert Beat(12, "b", 3, ("x",)) == beat
    assert Beat(1, "b", 0, ()) == beat_from_text('{"at":1,"boot":"b","claims":0,"running":{}}')


@pytest.mark.parametrize(
    "text", ["x", "[]", "1", "[" * 5_000, '{"at":1}', '{"at":null,"boot":"b"}']
)
def test_a_beat_that_makes_no_sense_is_none(text: str) -> None:
    assert None is beat_from_text(text)


def test_a_record_that_makes_no_sense_is_read_with_the_least_harm() -> None:
    """Nothing new is placed there, and nobody is rescued from it early."""
    data = agent_from_record(
        "a1",
        {"status": "x", "lease_ms": "y", "models": "3", "total:cpu": "1", "free:cpu": "9" * 30},
    )

    assert ("group", "status", "models", "free:cpu", "lease_ms") == tuple(
        sorted(data.unreadable, key=["group", "status", "models", "free:cpu", "lease_ms"].index)
    )
    assert (AgentStatus.NOT_READY, {"cpu": 1}, {}, {}) == (
        data.status,
        data.capacity,
        data.free,
        data.models,
    )
    assert data.lease_ms >= 3_600_000


def test_a_beat_of_the_store_is_read(world: World) -> None:
    world.mailbox().beat(world.boots["a1"], 60_000, claims=7, running=["x", "y"])

    beat = world.agents.beats(["a1", "a2"])["a1"]

    assert (world.boots["a1"], 7, ("x", "y")) == (beat.boot, beat.claims, beat.running)
    assert 0 < world.client.pttl(world.keys.beat("a1")) <= 60_000
