"""What an app asks for: good is read, bad is refused with a sentence, and nothing is written."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import parse_request_text, request_of
from scheduler.domain.spec import ClusterMode, OnLost, SessionSpec, SessionType, duration_ms
from scheduler.domain.work import MAX_ARGUMENTS, payload_of


def check(**asked: Any) -> None:
    """All that submit checks without Redis."""
    spec = SessionSpec(**({"callable": "jobs:noop"} | asked))
    request_of(spec)
    payload_of(spec)


BAD: list[tuple[dict[str, Any], str]] = [
    *[
        ({"callable": text}, "is not of the form package.module:function")
        for text in (
            "",
            "os",
            "os:",
            ":f",
            "os.system",
            "a b:c",
            "os:system()",
            "os:a:b",
            ".a:b",
            "a:b\n",
            "1a:b",
        )
    ],
    (
        {"kernels": [{"cpu": 1, "architecture": "x86_64"}, {"cpu": 1, "architecture": "aarch64"}]},
        "ask for architectures aarch64 and x86_64, and single-node puts them on one agent",
    ),
    (
        {"kernels": [{"cpu": 1}, {"cpu": 1, "architecture": "x86_64"}]},
        "ask for architectures any and x86_64",
    ),
    ({"kernels": [{"cpu": 1, "architecture": "a b"}]}, "architecture 'a b' is none"),
    ({"kernels": [{"architecture": "x86_64"}]}, "must ask for at least one slot"),
    ({"slots": {"cpu": 1, "architecture": 7}}, "architecture 7 is none"),
    ({"scopes": ["user"]}, "scopes must be a mapping"),
    ({"scopes": {"team": "a"}}, "kind 'team' is unknown"),
    ({"scopes": {"user": ""}}, "a name has 1 to 256 characters"),
    ({"scopes": {"user": 7}}, "must have a text as its name"),
    ({"scopes": {"office": "a/b"}}, "office 'a/b' is no name"),
    ({"scopes": {"role": "a/b"}}, "is OFFICE/ROLE beside the scope office"),
    ({"scopes": {"role": "b", "office": "a"}}, "is OFFICE/ROLE beside the scope office"),
    ({"scopes": {"role": "b/c", "office": "a"}}, "got 'b/c'"),
    ({"scopes": {"role": "a/", "office": "a"}}, "got 'a/'"),
    ({"scopes": {"office": "a"}, "private": True}, "counts against no office"),
    ({"scopes": {"keypair": "k"}}, "has a field of its own"),
    ({"scopes": {"global": "global"}}, "is not chosen"),
    ({"scopes": {"private": "k"}}, "is not chosen"),
    ({"callable": None}, "either a callable or a command"),
    ({"command": ["true"]}, "either a callable or a command"),
    ({"callable": None, "command": "rm -rf /"}, "a command is a list of words"),
    ({"callable": None, "command": ["a", 1]}, "a command is a list of words"),
    ({"callable": None, "command": []}, "needs a program"),
    ({"callable": None, "command": [""]}, "needs a program"),
    ({"callable": None, "command": ["a", "b\0"]}, "no NUL"),
    ({"callable": None, "command": ["a"], "args": [1]}, "put them into the command"),
    ({"env": {"A=B": "x"}}, "environment variable 'A=B'"),
    ({"env": {"A": 1}}, "environment variable A must be a text"),
    ({"env": {"A": "\0"}}, "environment variable A must be a text without NUL"),
    ({"slots": {"cpu": "-1"}}, "not a positive number"),
    ({"slots": {"cpu": 0}}, "more than zero"),
    ({"slots": {"gpu": 1}}, "slot 'gpu' is unknown"),
    ({"slots": {"mem": "1 parsec"}}, "unit 'parsec' of mem is unknown"),
    ({"slots": {"cpu": ["1"]}}, "must be text or an integer"),
    ({"slots": {}}, "at least one slot"),
    ({"args": [math.nan]}, "not JSON"),
    ({"args": [object()]}, "not JSON"),
    ({"kwargs": {"x": {1, 2}}}, "not JSON"),
    ({"args": "abc"}, "args must be a list, got 'abc'"),
    ({"args": 5}, "args must be a list, got 5"),
    ({"kwargs": [1]}, "kwargs must be a mapping, got"),
    ({"args": ["x" * MAX_ARGUMENTS]}, "the limit is 1048576"),
    ({"timeout": 0}, "more than zero"),
    ({"timeout": "0s"}, "more than zero"),
    ({"timeout": -1}, "more than zero"),
    ({"timeout": timedelta(0)}, "more than zero"),
    ({"timeout": math.inf}, "at most a hundred years, got inf"),
    ({"timeout": math.nan}, "more than zero"),
    ({"timeout": "soon"}, "timeout must be a duration such as 30s"),
    ({"timeout": "30 m m"}, "must be a duration"),
    ({"timeout": []}, "must be a duration"),
    ({"backoff": {"kind": "wild"}}, "backoff.kind: 'wild' is unknown; there are exponential"),
    ({"backoff": {"delay": 1}}, "there is no field 'delay'"),
    ({"backoff": "linear"}, "backoff: it must be an object"),
    ({"backoff": {"initial_ms": "1s"}}, "backoff.initial_ms: it must be a whole number"),
    ({"silence_timeout": 0}, "silence_timeout must be more than zero"),
    ({"silence_timeout": "a while"}, "silence_timeout must be a duration such as 30s"),
    ({"done_pattern": ""}, "done_pattern must have 1 to 200 characters, got 0"),
    ({"done_pattern": "x" * 201}, "done_pattern must have 1 to 200 characters, got 201"),
    ({"done_pattern": "("}, "is no regular expression: missing"),
    ({"done_pattern": "a{9999999999}"}, "the repetition number is too large"),
    ({"done_pattern": "a\nb"}, "done_pattern has a line break"),
    ({"done_pattern": 7}, "done_pattern must be a text, got 7"),
    ({"priority": 101}, "between 0 and 100, got 101"),
    ({"priority": -1}, "between 0 and 100, got -1"),
    ({"priority": 1.5}, "between 0 and 100"),
    ({"priority": True}, "between 0 and 100"),
    ({"retries": -1}, "between 0 and 1000, got -1"),
    ({"retries": 1001}, "between 0 and 1000"),
    ({"cluster_size": 0}, "between 1 and 1000"),
    ({"cluster_size": 1001}, "between 1 and 1000"),
    ({"cluster_mode": "a ring"}, "cluster_mode 'a ring' is no name; there are single-node, multi"),
    (
        {"kernels": [{"cpu": "1"}], "cluster_size": 2},
        "either kernels, each with its slots, or slots",
    ),
    ({"kernels": [{"cpu": "1"}], "slots": {"cpu": "1"}}, "either kernels, each with its slots"),
    ({"kernels": [{"cpu": "1"}] * 1_001}, "1001 kernels are too many, the limit is 1000"),
    ({"kernels": {"cpu": "1"}}, "kernels must be a list with the slots of each"),
    ({"kernels": ["cpu=1"]}, "kernels is a list with the slots of each"),
    ({"labels": ["zone"]}, "labels must be a mapping such as"),
    ({"labels": {f"l{i}": "x" for i in range(65)}}, "labels is a mapping of at most 64"),
    ({"labels": {"zone": "a\n"}}, "label 'zone'='a.+' needs a name and a value"),
    ({"preferred_labels": {"zo\x00ne": "a"}}, "1 to 256 characters and no control characters"),
    ({"labels": {"": "a"}}, "label ''='a' needs a name"),
    ({"labels": {"zone": 7}}, "label 'zone'=7 needs a name and a value"),
    ({"labels": {"zone": "a||b"}}, "accepts an empty value; write a.b for a or b"),
    ({"architecture": "x86 64"}, "architecture 'x86 64' is none; write x86_64 or aarch64"),
    ({"architecture": 64}, "architecture must be a text such as x86_64, got 64"),
    ({"agents": "a1"}, "agents must be a list of ids"),
    ({"agents": ["a"] * 1_001}, "agents is a list of at most 1000 ids"),
    ({"agents": ["a 1"]}, "agent 'a 1' is no name"),
    ({"agents": [1]}, "agent 1 is no name"),
    ({"endpoint": "web\n"}, "an endpoint has at most 256 characters"),
    ({"session_type": "weird"}, "session_type 'weird'"),
    ({"on_lost": "cry"}, "on_lost 'cry'"),
    ({"not_before": datetime(2026, 1, 1)}, "needs a time zone"),  # noqa: DTZ001 - the point
    ({"not_before": datetime(9999, 1, 1, tzinfo=UTC)}, "out of range"),
    ({"not_before": datetime(1, 1, 1, tzinfo=UTC)}, "out of range"),
    *[
        ({"group": name}, "is no name")
        for name in ("", "a b", "-a", "a-", "a.b", "a:b", "x" * 64, "a\n")
    ],
    *[
        ({"name": name}, "no control characters")
        for name in ("a\x1b[31m", "a\nb", "a\x85", "a\u2028b", "\ud800", "x" * 257)
    ],
    ({"keypair": ""}, "1 to 256 characters"),
    ({"keypair": "a\tb"}, "no control characters"),
    ({"idempotency_key": ""}, "1 to 256 characters"),
    ({"idempotency_key": "x" * 257}, "1 to 256 characters"),
    ({"idempotency_key": "a\n"}, "no control characters"),
    ({"depends_on": "0" * 26}, "depends_on must be a list of sessions"),
    ({"depends_on": ["abc"]}, "'abc' is no session id"),
    ({"depends_on": ["0" * 26] * 20_001}, "20001 dependencies are too many"),
]


@pytest.mark.parametrize(
    ("asked", "says"), BAD, ids=[f"{says[:24]}-{i}" for i, (_, says) in enumerate(BAD)]
)
def test_a_bad_spec_is_refused_with_a_sentence(asked: dict[str, Any], says: str) -> None:
    """K20."""
    with pytest.raises(InvalidInput, match=says):
        check(**asked)


def test_the_bounds_themselves_are_good() -> None:
    check(priority=0, retries=0, name="x" * 256, cluster_size=1000, timeout="1ms")
    check(priority=100, retries=1000, group="x" * 63, idempotency_key="ü" * 256, env={"_A1": ""})
    check(callable="päckage.module:Class.method", depends_on=["0" * 26] * 20_000)
    check(callable=None, command=["python", "", "-c", "x\n"], args=(), kwargs={})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("30m", 1_800_000),
        ("1.5h", 5_400_000),
        ("2d", 172_800_000),
        ("250ms", 250),
        ("10", 10_000),
        (10, 10_000),
        (0.5, 500),
        (timedelta(minutes=1), 60_000),
        (" 5s ", 5_000),
    ],
)
def test_durations_are_read(value: str | float | timedelta, expected: int) -> None:
    assert expected == duration_ms(value, "a timeout")


def test_a_request_tells_its_scopes_its_owner_and_what_it_asks_by_family() -> None:
    """K6."""
    found = request_of(
        SessionSpec(
            callable="a:b",
            keypair="k",
            scopes={"user": "u", "domain": "d"},
            kernels=[{"cpu": "1", "cuda.device": "2"}, {"cpu": "500m", "cuda.shares": "250"}],
        )
    )

    assert (["domain d", "global global", "keypair k", "user u"], "u", "k") == (
        sorted(map(str, found.scopes)),
        found.owner,
        found.keypair,
    )
    assert {"cpu": 1500, "cuda": 2250} == found.families


def test_a_private_session_holds_one_scope_of_its_own() -> None:
    """K7."""
    named = SessionSpec(callable="a:b", keypair="k", scopes={"user": "u"}, private=True)
    nobodys = SessionSpec(callable="a:b", private=True)

    assert (["private k"], "k") == (
        [*map(str, request_of(named).scopes)],
        request_of(named).keypair,
    )
    assert ["private global"] == [*map(str, request_of(nobodys).scopes)]


def test_kernels_of_one_architecture_are_a_session_of_it() -> None:
    """K4: and in a multi-node session each may have its own."""
    arm = {"cpu": "1", "architecture": "aarch64"}
    mixed = SessionSpec(callable="a:b", kernels=[arm, {"cpu": "2"}], cluster_mode="multi-node")
    plain = SessionSpec(callable="a:b", slots={"cpu": "1"}, cluster_size=2, architecture="aarch64")

    assert request_of(plain) == request_of(SessionSpec(callable="a:b", kernels=[arm, arm]))
    found = request_of(mixed)
    assert ["aarch64", ""] == [found.constraints_of(kernel).architecture for kernel in (0, 1)]
    assert found == parse_request_text(found.text)


def test_equal_requests_share_an_id() -> None:
    """K20: equal requests are decided once."""
    one = SessionSpec(
        callable="a:b", slots={"cpu": "1", "mem": "1GiB"}, args=[1], name="x", priority=1
    )
    two = SessionSpec(
        callable="c:d", slots={"mem": "1024MiB", "cpu": "1000m"}, name="y", timeout=1800
    )
    other = SessionSpec(callable="a:b", slots={"cpu": "2", "mem": "1GiB"})

    assert request_of(one) == request_of(two)
    assert request_of(one).id != request_of(other).id
    # Stored requests of earlier versions are the same ones.
    assert "done_pattern" not in request_of(one).text
    assert "silence" not in request_of(one).text


def test_a_request_is_read_from_its_text() -> None:
    request = request_of(
        SessionSpec(
            callable="a:b",
            keypair="schlüssel",
            cluster_size=3,
            private=True,
            retries=2,
            on_lost=OnLost.KEEP,
            done_pattern=r"saved \S+",
            silence_timeout="5m",
        )
    )

    assert request == parse_request_text(request.text)
    assert (r"saved \S+", 300_000) == (request.done_pattern, request.silence_ms)
    assert ((("private", "schlüssel"),), "schlüssel") == (request.scopes, request.keypair)
    assert (ClusterMode.SINGLE_NODE, SessionType.BATCH) == (
        request.cluster_mode,
        request.session_type,
    )
    assert {"cpu": 3000} == request.need
    assert 3 == len(request.kernels)


def test_a_payload_holds_the_work() -> None:
    spec = SessionSpec(callable="a:b", args=[1, "ü"], kwargs={"x": None}, env={"A": "b"})

    assert {
        "callable": "a:b",
        "args": [1, "ü"],
        "kwargs": {"x": None},
        "env": {"A": "b"},
    } == json.loads(payload_of(spec))
    assert {"command": ["a", "b"]} == json.loads(payload_of(SessionSpec(command=["a", "b"])))
