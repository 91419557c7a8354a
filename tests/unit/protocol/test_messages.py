"""Orders and reports: what was signed is what is read, and nothing else is."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from scheduler.domain.errors import BadMessage, InvalidSetting
from scheduler.protocol import order as orders
from scheduler.protocol import report as reports
from scheduler.protocol import signing
from scheduler.protocol.names import OrderId, parse_order_id, queue_name
from scheduler.protocol.order import StartOrder, StopOrder
from scheduler.protocol.report import EndReason, KernelReport, Leaving, Registration, ReportKind

SECRET = "a secret of the cluster"
KEY = signing.agent_key(SECRET, "ns", "a1")
OTHER_KEY = signing.agent_key(SECRET, "ns", "a2")
PAYLOAD = '{"callable":"jobs:noop","args":["ü\\n"],"kwargs":{}}'
SESSION, PLACEMENT, BOOT = "0" * 26, "e" * 32, "b" * 32
START = StartOrder(
    agent="a1",
    boot=BOOT,
    group="default",
    session=SESSION,
    kernel=3,
    placement=PLACEMENT,
    attempt=2,
    name="n ü",
    keypair="k",
    slots={"cpu": 1000, "cuda.0": 460},
    timeout_ms=1_800_000,
    payload_sha256=hashlib.sha256(PAYLOAD.encode()).hexdigest(),
    on_lost="rerun",
    hosts=["10.0.0.1"],
    done_pattern="ready",
    silence_ms=5_000,
)
STOP = StopOrder(agent="a1", boot=BOOT, order=START.id, reason="cancelled")
REPORTS: list[reports.Report] = [
    Registration(
        agent="a1", boot=BOOT, group="g", slots={"cpu": 1}, models={"cuda": "V100"}, swept="c" * 32
    ),
    Leaving(agent="a1", boot=BOOT),
    KernelReport(
        kind=ReportKind.UP, agent="a1", boot=BOOT, session=SESSION, kernel=0, placement=PLACEMENT
    ),
    KernelReport(
        kind=ReportKind.ENDED,
        agent="a1",
        boot=BOOT,
        session=SESSION,
        kernel=0,
        placement=PLACEMENT,
        exit_code=0,
        signal=9,
        reason=EndReason.EXITED,
        error="ü",
        result='{"x":1}',
    ),
]


def read(text: str, key: str = KEY, agent: str = "a1", boot: str = BOOT) -> Any:
    return orders.decode(text, key, agent=agent, boot=boot)


def wire(order: StartOrder | StopOrder = START, payload: str | None = PAYLOAD) -> str:
    return orders.encode(order, KEY) + ("" if payload is None else f"\n{payload}")


def test_an_order_to_start_is_read_with_its_payload() -> None:
    assert (START, json.loads(PAYLOAD)) == read(wire())


def test_what_nobody_asked_for_is_not_said() -> None:
    """An agent of an earlier version refuses fields it does not know."""
    order = replace(START, done_pattern="", silence_ms=0)

    assert order == read(wire(order))[0]
    assert "done_pattern" not in wire(order)
    assert "silence_ms" not in wire(order)


def test_an_order_to_stop_is_read() -> None:
    assert (STOP, {}) == read(wire(STOP, None))


@pytest.mark.parametrize("name", [field.name for field in fields(StartOrder)])
def test_a_change_of_any_field_is_noticed(name: str) -> None:
    mac, _, rest = wire().partition(" ")
    header, _, payload = rest.partition("\n")
    body = json.loads(header)
    body[name] = body[name] + 1 if isinstance(body[name], int) else "other"

    with pytest.raises(BadMessage, match="its signature is wrong"):
        read(f"{mac} {json.dumps(body, separators=(',', ':'))}\n{payload}")


@pytest.mark.parametrize("order", [START, STOP])
def test_an_order_for_another_agent_or_boot_is_refused(order: StartOrder | StopOrder) -> None:
    with pytest.raises(BadMessage, match="its signature is wrong"):
        read(wire(order), key=OTHER_KEY)
    with pytest.raises(BadMessage, match="it is for agent a1"):
        read(wire(order), agent="a2")
    with pytest.raises(BadMessage, match="boot bbbbbbbb"):
        read(wire(order), boot="c" * 32)


@pytest.mark.parametrize(
    "payload", [PAYLOAD.replace("noop", "evil"), "", "{}", PAYLOAD + "\n", PAYLOAD + " "]
)
def test_a_swapped_payload_is_refused(payload: str) -> None:
    with pytest.raises(BadMessage, match="its payload is not the one that was signed"):
        read(wire(payload=payload))


def test_a_payload_with_line_ends_is_read_whole() -> None:
    payload = '{"args":[1],\n"kwargs":{}}\n'
    order = replace(START, payload_sha256=hashlib.sha256(payload.encode()).hexdigest())

    assert {"args": [1], "kwargs": {}} == read(wire(order, payload))[1]


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 80, 200])
def test_a_truncated_order_is_refused(length: int) -> None:
    with pytest.raises(BadMessage):
        read(wire()[:length])


@pytest.mark.parametrize("text", ["", " ", "\n", "x", "🚀 {}", "\ud800 {}", "0" * 64 + " {}"])
def test_noise_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        read(text)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        "[]",
        "5",
        "null",
        "{}",
        '{"kind":"start"}',
        '{"kind":"dance"}',
        '{"kind":"stop","agent":"a1"}',
    ],
)
def test_signed_nonsense_is_refused(header: str) -> None:
    with pytest.raises(BadMessage):
        read(f"{signing.sign(KEY, header.encode())} {header}")


def test_a_signed_payload_that_is_not_json_is_refused() -> None:
    order = replace(START, payload_sha256=hashlib.sha256(b"{").hexdigest())

    with pytest.raises(BadMessage):
        read(wire(order, "{"))


def heard(fields: Mapping[str, str]) -> list[reports.Report]:
    said = reports.opened(fields[reports.BODY], fields[reports.MAC], {"a1": KEY}.__getitem__)
    return [reports.read(each) for each in said]


def signed(body: str) -> dict[str, str]:
    return {reports.BODY: body, reports.MAC: signing.sign(KEY, body.encode())}


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.kind)
def test_a_report_is_read(report: reports.Report) -> None:
    assert [report] == heard(reports.encode(report, KEY))


def test_reports_of_one_boot_share_a_signature_and_keep_their_order() -> None:
    assert REPORTS == heard(reports.encode_many(REPORTS, KEY))


@pytest.mark.parametrize("name", list(asdict(REPORTS[3])))
def test_a_change_of_any_field_of_a_report_is_noticed(name: str) -> None:
    fields_ = reports.encode(REPORTS[3], KEY)
    body = json.loads(fields_[reports.BODY]) | {name: "a1" if name == "agent" else "other"}
    body |= {"more": 1}

    with pytest.raises(BadMessage, match="its signature is wrong"):
        heard({**fields_, reports.BODY: json.dumps(body, separators=(",", ":"))})


def test_a_forged_report_among_signed_ones_is_noticed() -> None:
    fields_ = reports.encode_many(REPORTS, KEY)
    body = json.loads(fields_[reports.BODY])
    body["reports"][-1]["placement"] = "f" * 32

    with pytest.raises(BadMessage, match="its signature is wrong"):
        heard({**fields_, reports.BODY: json.dumps(body, separators=(",", ":"))})


def test_a_report_speaks_for_no_other_agent_than_the_one_that_signed() -> None:
    body = json.loads(reports.encode_many(REPORTS, KEY)[reports.BODY])
    for report in body["reports"]:
        report |= {"agent": "a2", "boot": "c" * 32}

    assert REPORTS == heard(signed(json.dumps(body)))


def test_a_report_signed_by_another_agent_is_refused() -> None:
    with pytest.raises(BadMessage, match="its signature is wrong"):
        heard(reports.encode(REPORTS[0], OTHER_KEY))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"agent":"a1","reports":[]}', "its version is None, and this replica reads 2"),
        ('{"v":3,"agent":"a1","reports":[]}', "its version is 3, and this replica reads 2"),
        ('{"v":2,"agent":"a1","reports":{}}', "its reports are no list"),
        ('{"v":2,"agent":"a1","reports":[5]}', "its fields are not those of a report"),
        ('{"v":2,"agent":"a1","reports":[{"kind":"up"}]}', "its fields are not those of a report"),
        ('{"agent":"a1"}', "its fields are not those of a report"),
        ('{"kind":"fly","agent":"a1"}', "its fields are not those of a report"),
        ('{"kind":[],"agent":"a1"}', "its fields are not those of a report"),
    ],
)
def test_a_signed_report_that_is_none_is_refused(body: str, why: str) -> None:
    with pytest.raises(BadMessage, match=why):
        heard(signed(body))


@pytest.mark.parametrize("body", ["", "x", "[]", "5", "null", "[" * 100_000])
def test_nobody_signed_what_is_no_report(body: str) -> None:
    with pytest.raises(BadMessage):
        heard(signed(body))


def test_keys_differ_by_secret_namespace_and_agent() -> None:
    keys = {
        signing.agent_key(secret, namespace, agent)
        for secret in (SECRET, SECRET + "!")
        for namespace in ("ns", "ns2")
        for agent in ("a1", "a2", "2a1")
    }

    assert 12 == len(keys)
    assert KEY == signing.agent_key(SECRET, "ns", "a1")


@pytest.mark.parametrize("length", [1, 32, 64, 65, 200])
def test_a_mac_is_the_hmac_of_every_library(length: int) -> None:
    """Agents of earlier versions verify it, with keys as short or as long as RFC 2104 allows."""
    key = bytes(range(length))

    for message in (b"", b"x" * 63, b"an order " * 50):
        assert signing.sign(key.hex(), message) == hmac.new(key, message, "sha256").hexdigest()


def test_a_short_secret_and_a_broken_key_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="at least 16 characters"):
        signing.agent_key("short", "ns", "a1")
    with pytest.raises(InvalidSetting, match="scheduler agent key"):
        signing.sign("no hex", b"")


def test_an_order_id_is_read_back() -> None:
    order = OrderId(SESSION, 12, PLACEMENT)

    assert order == parse_order_id(str(order))
    assert START.id == str(OrderId(SESSION, 3, PLACEMENT))
    assert str(STOP.order) == START.id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"{SESSION}-x-{PLACEMENT}",
        f"{SESSION}-1-{PLACEMENT}\n",
        f"stop-{SESSION}-1-{PLACEMENT}",
    ],
)
def test_what_is_no_order_id_is_told(text: str) -> None:
    assert None is parse_order_id(text)


def test_a_queue_is_named_after_its_agent() -> None:
    assert "ns:agent:a1" == queue_name("ns", "a1")
