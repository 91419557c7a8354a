"""One scheduling cycle, as a function of the snapshot: sequence, validate, select, allocate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.plan import KernelAgentBinding, Placement, Plan
from scheduler.cycle.snapshot import AGENTS, Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain import slots as slot_math
from scheduler.domain.verdict import ADMIT, Cure, Verdict
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractScheduler,
    AbstractValidator,
    Need,
    SchedulerValidationError,
    ValidatorContext,
)

NO_ROOM = "agents"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a group schedules: its plugins, loaded."""

    scheduler: AbstractScheduler
    selector: AbstractAgentSelector
    validators: Sequence[AbstractValidator]
    grows: bool


def propose(snapshot: Snapshot, policy: Policy, *, limit: int) -> Plan:
    """Decide up to ``limit`` placements. Reserves in the snapshot; reads no clock, writes nothing.

    A session that is refused stops nobody: its line sleeps, the others go on.
    """
    plan = Plan()
    policy.scheduler.prioritize(snapshot.waiting.heads())
    while len(plan.placements) < limit:
        session = policy.scheduler.pick_session()
        if session is None:
            return plan
        if not isinstance(session, WaitingSession) or session.id not in snapshot.waiting:
            continue
        verdict = examine(session, snapshot, policy.validators)
        if verdict.admits:
            need = snapshot.waiting.need(session)
            placement = schedule_single_node_session(session, need, snapshot, policy.selector)
            if placement is not None:
                _reserve(snapshot, placement)
                plan.placements.append(placement)
                policy.scheduler.update_allocation(session, snapshot.waiting.successor(session))
                continue
            if never := _never_fits(need, snapshot, grows=policy.grows):
                plan.impossible += [(s, never) for s in snapshot.waiting.of(session.request.id)]
            verdict = no_room(need)
        if snapshot.waiting.put_to_sleep(session.request.id, verdict):
            plan.refusals[session.request.id] = verdict
    plan.more = True
    return plan


def examine(
    session: WaitingSession, snapshot: Snapshot, validators: Sequence[AbstractValidator]
) -> Verdict:
    """Ask every validator; the refusals of all of them as one verdict, or ADMIT."""
    context = ValidatorContext(
        session=session.id,
        request=session.request,
        now_ms=snapshot.now_ms,
        scopes=snapshot.scope_use(session.request.scopes),
    )
    failures: list[tuple[str, SchedulerValidationError]] = []
    for validator in validators:
        try:
            validator.validate(context)
        except SchedulerValidationError as error:
            failures.append((validator.name, error))
        except Exception as error:  # noqa: BLE001 - a broken rule refuses by its name, and stops nobody else
            broken = f"this rule is broken: {type(error).__name__}: {error}"
            failures.append((validator.name, SchedulerValidationError(broken)))
    if not failures:
        return ADMIT
    return Verdict.blocked(
        ", ".join(name for name, _ in failures),
        "; ".join(str(error) for _, error in failures),
        *[cure for _, error in failures for cure in error.cures],
    )


def schedule_single_node_session(
    session: WaitingSession, need: Need, snapshot: Snapshot, selector: AbstractAgentSelector
) -> Placement | None:
    """Find one agent for all kernels of a session and bind them; None where none has room (seed 000, 4.1)."""
    index = selector.assign_agent_for_session(snapshot.agents, need)
    bound = None if index is None else snapshot.agents.bind(index, need)
    if index is None or bound is None:
        return None
    data = snapshot.agents.rows[index].data
    bindings = [
        KernelAgentBinding(kernel, data.id, data.boot, slots) for kernel, slots in enumerate(bound)
    ]
    return Placement(session, tuple(bindings))


def _reserve(snapshot: Snapshot, placement: Placement) -> None:
    for binding in placement.bindings:
        snapshot.agents.take(binding.agent, binding.slots)
    snapshot.hold(placement.session.request.scopes, +1)


def withdraw(snapshot: Snapshot, placement: Placement) -> None:
    """Undo a reservation whose commit was refused."""
    for binding in placement.bindings:
        snapshot.agents.give(binding.agent, binding.slots)
    snapshot.hold(placement.session.request.scopes, -1)


def no_room(need: Need) -> Verdict:
    """No agent takes this now. Every freed kernel asks again, so it is worded only when it is noted."""
    return Verdict.blocked(
        NO_ROOM,
        f"no agent has {slot_math.render(need.slots)} free now",
        Cure(AGENTS, "kernels end, an agent joins, or one is undrained (`scheduler agent list`)"),
    )


def word_no_room(need: Need, agents: AgentTable) -> str:
    """Why no agent takes this, counted by the first thing each lacks."""
    lacks = agents.lacks(need)
    if not lacks:
        return "the group has no agent yet: `scheduler agent run` starts one"
    told = ", ".join(
        f"{count} {why}"
        for why, count in sorted(lacks.items(), key=lambda item: (-item[1], item[0]))
    )
    return (
        f"no agent has {slot_math.render(need.slots)} free now (of {sum(lacks.values())}: {told})"
    )


def _never_fits(need: Need, snapshot: Snapshot, *, grows: bool) -> str:
    if grows or not snapshot.agents.shapes() or snapshot.agents.ever_holds(need):
        return ""
    asks = slot_math.render_kernels(need.kernels)
    return f"it asks for {asks}, and no agent of the group has that, even when idle"
