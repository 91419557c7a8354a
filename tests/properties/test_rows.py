"""SessionRow and SessionData: one and the same, whichever way they are mapped, all that is nested too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.ids import SessionId
from scheduler.domain.request import request_of
from scheduler.domain.session import AttemptData, KernelData, SessionData
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import PLACED, KernelState, SessionState
from scheduler.intake.board import placed_from
from scheduler.leader.placed import FIELDS, plainly_placed, stands
from scheduler.store.rows import row_from_session, session_from_row

ID = SessionId("0" * 26)
REQUEST = request_of(SessionSpec(callable="a:b"))
TEXTS = st.text(max_size=12)
NUMBERS = st.integers(0, 2**53 - 1)
SLOTS = st.dictionaries(st.sampled_from(["cpu", "mem", "cuda.0"]), NUMBERS, max_size=3)
#: By type, so that a field that is added tomorrow is tested without another word.
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: NUMBERS,
    bool: st.booleans(),
    str | None: st.none() | TEXTS,
    int | None: st.none() | NUMBERS,
    Mapping[str, int]: SLOTS,
    tuple[str, ...]: st.lists(TEXTS, max_size=3).map(tuple),
    SessionState: st.sampled_from(SessionState),
    KernelState: st.sampled_from(KernelState),
}


def any_of(kind: type, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of a dataclass, every field of it drawn."""
    hints = get_type_hints(kind)
    drawn = {f.name: BY_TYPE[hints[f.name]] for f in fields(kind) if f.name not in known}
    return st.builds(kind, **drawn, **known)


def numbered(each: st.SearchStrategy[Any], name: str, first: int) -> st.SearchStrategy[Any]:
    """Tuples of them, counted by a field."""
    return st.lists(each, max_size=4).map(
        lambda found: tuple(
            replace(one, **{name: index}) for index, one in enumerate(found, start=first)
        )
    )


#: What a record must have to make sense.
GROUPS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,6}[A-Za-z0-9])?", fullmatch=True)
GIVEN = TEXTS.filter(bool)

SESSIONS = any_of(
    SessionData,
    id=st.just(ID),
    request=st.just(REQUEST),
    group=GROUPS,
    unreadable=st.just(()),
    kernels=numbered(any_of(KernelData, agent=GIVEN, boot=GIVEN), "index", 0),
    history=numbered(any_of(AttemptData), "attempt", 1),
)


def some(value: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """A field as a record has it where it is there at all: a text, and no empty one."""
    return value.map(str).filter(bool)


POSITIVE = st.integers(1, 2**53 - 1)
ATTEMPT = st.fixed_dictionaries(
    {"agents": st.lists(TEXTS, max_size=3), "started_at": NUMBERS},
    optional={
        "placement": TEXTS.filter(bool),
        "deadline": NUMBERS,
        "ended_at": NUMBERS,
        "outcome": TEXTS.filter(bool),
        "error": TEXTS.filter(bool),
    },
)
KERNEL = st.fixed_dictionaries(
    {
        "state": st.sampled_from(KernelState).map(str),
        "slots": SLOTS.map(json.dumps),
        "agent": GIVEN,
        "boot": GIVEN,
    },
    optional={name: some(TEXTS) for name in ("reason", "error")}
    | {name: some(NUMBERS) for name in ("exit_code", "signal")},
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, str]:
    """Records as the store keeps them: what is empty, nought or unknown is not there."""
    row: dict[str, str] = draw(
        st.fixed_dictionaries(
            {
                "group": GROUPS,
                "state": st.sampled_from(SessionState).map(str),
                "priority": some(NUMBERS),
                "seq": some(NUMBERS),
                "request": st.just(REQUEST.id),
                "digest": TEXTS,
                "submitted_at": some(NUMBERS),
            },
            optional={n: some(TEXTS) for n in ("name", "work", "placement", "reason", "error")}
            | {n: some(POSITIVE) for n in ("attempt", "rescues", "unmet", "retries_from")}
            | {n: some(NUMBERS) for n in ("not_before", "placed_at", "running_at", "ended_at")}
            | {n: some(NUMBERS) for n in ("timeout_ms", "own_timeout_ms")}
            | dict.fromkeys(("cancel_requested", "idempotency_key"), TEXTS)
            | {"unsealed": st.just("1")},
        )
    )
    kernels = draw(st.lists(KERNEL, max_size=3))
    if kernels:
        row["kernels"] = str(len(kernels))
    for index, kernel in enumerate(kernels):
        row |= {f"kernel:{index}:{name}": value for name, value in kernel.items()}
    for number, attempt in enumerate(draw(st.lists(ATTEMPT, max_size=12)), start=1):
        names = [n for n in AttemptData.__slots__ if n in attempt and n != "attempt"]
        row[f"history:{number}"] = json.dumps(
            {"attempt": number} | {name: attempt[name] for name in names}
        )
    return row


@given(SESSIONS)
def test_a_value_read_back_from_its_record_is_the_same(data: SessionData) -> None:
    """K5."""
    row = row_from_session(data)

    assert all(isinstance(value, str) for value in row.values())
    assert data == session_from_row(data.id, row, REQUEST)


@given(rows())
def test_a_record_written_again_from_its_value_is_the_same(row: dict[str, str]) -> None:
    """K5."""
    assert row == row_from_session(session_from_row(ID, row, REQUEST))


@given(rows())
def test_what_a_leader_reads_of_a_placed_session_is_what_the_whole_record_says(
    row: dict[str, str],
) -> None:
    data = session_from_row(ID, row, REQUEST)
    plain = plainly_placed(
        ID, [row.get(name) for name in FIELDS], data.group, {REQUEST.id: REQUEST}
    )

    mostly = len(data.kernels) == 1 and data.state in PLACED
    assert plain == (placed_from(data) if mostly else None)
    assert not mostly or stands(data, data.group)
