"""Orders are signed for one agent, and RQ itself can read the job that carries them."""

from __future__ import annotations

import hashlib
import json

import pytest
from rq.job import Job
from rq.serializers import JSONSerializer

from scheduler.cycle.plan import Placement
from scheduler.domain.errors import BadMessage
from scheduler.domain.states import KernelState, SessionState
from scheduler.leader.orders import OrderBook
from scheduler.leader.rq_job import AGENT, ORDER, template
from scheduler.plugins.interfaces import KernelAgentBinding
from scheduler.protocol import order as wire
from scheduler.protocol.names import ENTRY_FUNCTION, parse_order_id
from scheduler.protocol.order import StartOrder, StopOrder
from scheduler.protocol.signing import agent_key
from tests.unit.cycle.made import request, waiting
from tests.unit.intake.made import placed

SECRET, NAMESPACE = "a secret of the cluster", "ns"
BOOT = "b" * 32
PAYLOAD = '{"callable":"a:b"}'


@pytest.fixture
def book() -> OrderBook:
    return OrderBook(SECRET, NAMESPACE, "default", {"a1": "10.0.0.1", "a2": "10.0.0.2"}.__getitem__)


def placement(*agents: str) -> Placement:
    session = waiting(request(keypair="k"), name="0" * 26)
    object.__setattr__(session, "digest", hashlib.sha256(PAYLOAD.encode()).hexdigest())
    bindings = [KernelAgentBinding(i, agent, BOOT, {"cpu": 1000}) for i, agent in enumerate(agents)]
    return Placement(session, tuple(bindings))


def key(agent: str, secret: str = SECRET) -> str:
    return agent_key(secret, NAMESPACE, agent)


def test_an_order_is_read_with_the_agents_own_key(book: OrderBook) -> None:
    move, _ = book.place(placement("a1"), 10_000)

    order, payload = wire.decode(
        f"{move.kernels[0]['order']}\n{PAYLOAD}", key("a1"), agent="a1", boot=BOOT
    )

    assert isinstance(order, StartOrder)
    assert ("k", 1, "default", ["10.0.0.1"], {"callable": "a:b"}) == (
        order.keypair,
        order.attempt,
        order.group,
        order.hosts,
        payload,
    )


@pytest.mark.parametrize("other", [key("a2"), key("a1", "another secret of it")])
def test_an_order_is_refused_by_every_other_key(book: OrderBook, other: str) -> None:
    move, _ = book.place(placement("a1"), 10_000)

    with pytest.raises(BadMessage, match="signature"):
        wire.decode(f"{move.kernels[0]['order']}\n{PAYLOAD}", other, agent="a1", boot=BOOT)


@pytest.mark.parametrize(("agent", "boot"), [("a2", BOOT), ("a1", "f" * 32)])
def test_an_order_is_for_one_boot_of_one_agent(book: OrderBook, agent: str, boot: str) -> None:
    move, _ = book.place(placement("a1"), 10_000)

    with pytest.raises(BadMessage, match="it is for agent a1"):
        wire.decode(f"{move.kernels[0]['order']}\n{PAYLOAD}", key("a1"), agent=agent, boot=boot)


def test_another_payload_than_the_one_submitted_is_noticed(book: OrderBook) -> None:
    move, _ = book.place(placement("a1"), 10_000)

    with pytest.raises(BadMessage, match="payload"):
        wire.decode(f"{move.kernels[0]['order']}\n{{}}", key("a1"), agent="a1", boot=BOOT)


def test_every_placement_has_a_nonce_of_its_own(book: OrderBook) -> None:
    assert 100 == len({book.place(placement("a1"), 10_000)[0].placement for _ in range(100)})


def test_the_placed_session_is_what_the_move_will_write(book: OrderBook) -> None:
    move, session = book.place(placement("a1", "a2"), 10_000)

    assert (move.placement, SessionState.SCHEDULED, ["a1", "a2"]) == (
        session.placement,
        session.state,
        session.agents,
    )
    scopes = [["global", "global"], ["keypair", "k"]]
    charge = {"scopes": scopes, "slots": {"cpu": 1000}, "owner": "k"}
    assert ("a1 a2", 10_000, charge) == (
        move.agents,
        move.timer,
        json.loads(move.held),
    )
    assert {KernelState.ORDERED} == {kernel.state for kernel in session.kernels}


def test_a_stop_order_names_the_order_it_stops(book: OrderBook) -> None:
    session = placed(SessionState.RUNNING, [KernelState.UP])

    order, payload = wire.decode(
        book.stop(session, session.kernels[0], "cancelled"), key("a0"), agent="a0", boot=BOOT
    )

    assert (StopOrder(agent="a0", boot=BOOT, order=session.order(0), reason="cancelled"), {}) == (
        order,
        payload,
    )


def test_a_stray_order_is_stopped_only_if_it_is_one(book: OrderBook) -> None:
    order = placed(SessionState.RUNNING, [KernelState.UP]).order(0)

    assert (True, None) == (
        bool(book.stop_unknown("a1", BOOT, order)),
        book.stop_unknown("a1", BOOT, "noise"),
    )


def filled(order: str, agent: str) -> dict[str, str]:
    flat = [text.replace(ORDER, order).replace(AGENT, agent) for text in template(NAMESPACE)]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_rq_reads_the_job_that_the_commit_script_writes() -> None:
    """D2, D5: a contract with the installed RQ."""
    order = placed(SessionState.RUNNING, [KernelState.UP]).order(0)
    fields = filled(order, "a1")

    job = Job(id=order, connection=object(), serializer=JSONSerializer)  # type: ignore[arg-type]
    job.restore({name.encode(): value.encode() for name, value in fields.items()})

    assert (ENTRY_FUNCTION, ("a1", order), f"{NAMESPACE}:agent:a1") == (
        job.func_name,
        tuple(job.args),
        job.origin,
    )
    assert (f"order {order}", parse_order_id(order)) == (
        job.description,
        parse_order_id(str(job.args[1])),
    )


def test_the_job_tells_nothing_but_agent_and_order() -> None:
    """RQ logs descriptions, and every dashboard shows arguments."""
    fields = filled("ORDER", "AGENT")

    assert [ENTRY_FUNCTION, None, ["AGENT", "ORDER"], {}] == json.loads(fields["data"])
