"""One scheduling cycle, as a function of the snapshot: sequence, validate, select, allocate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.cycle.foresight import Asked
from scheduler.cycle.modes.multi_node import MultiNode
from scheduler.cycle.modes.single_node import SingleNode
from scheduler.cycle.placing import never_fits, place
from scheduler.cycle.plan import Placement, Plan
from scheduler.cycle.snapshot import AGENTS, Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain import slots as slot_math
from scheduler.domain.group import Backfill
from scheduler.domain.verdict import ADMIT, Cure, Failure, Verdict
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    AbstractScheduler,
    AbstractValidator,
    Need,
    SchedulerValidationError,
    ValidatorContext,
)

NO_ROOM = "agents"
MODE = "cluster-mode"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a group schedules: its plugins, loaded."""

    scheduler: AbstractScheduler
    selector: AbstractAgentSelector
    validators: Sequence[AbstractValidator]
    grows: bool
    backfill: Backfill = Backfill.NONE
    modes: Mapping[str, AbstractClusterMode] = field(
        default_factory=lambda: {mode.name: mode for mode in (SingleNode(), MultiNode())}
    )


def propose(snapshot: Snapshot, policy: Policy, *, limit: int) -> Plan:
    """Decide placements of up to ``limit`` kernels; the last may exceed it.

    Reserves in the snapshot; reads no clock, writes nothing.
    A session that is refused stops nobody: its line sleeps, the others go on, and may delay it no
    further than the group's backfill allows.
    """
    snapshot.reservations.begin(policy.backfill, snapshot.now_ms)
    plan = _decide(snapshot, policy, limit)
    plan.more |= snapshot.reservations.end(whole=not plan.more)
    return plan


def _decide(snapshot: Snapshot, policy: Policy, limit: int) -> Plan:
    plan = Plan()
    policy.selector.learn(snapshot.waiting.take_arrived())
    policy.scheduler.prioritize(snapshot.context, snapshot.waiting.heads())
    # Kernels count, not sessions: a commit takes as long as what it writes.
    left = limit
    while left > 0:
        session = policy.scheduler.pick_session()
        if session is None:
            return plan
        if not isinstance(session, WaitingSession) or session.id not in snapshot.waiting:
            continue
        verdict = examine(session, snapshot, policy.validators)
        if verdict.admits:
            placement, verdict = _try(session, snapshot, policy)
            if placement is not None:
                snapshot.hold(session.request, +1)
                plan.placements.append(placement)
                left -= len(placement.bindings)
                policy.scheduler.update_allocation(session, snapshot.waiting.successor(session))
                continue
            if never := _never(session, snapshot, policy):
                plan.impossible += [(s, never) for s in snapshot.waiting.of(session.request.id)]
        if snapshot.waiting.put_to_sleep(session.request.id, verdict):
            plan.refusals[session.request.id] = verdict
    plan.more = True
    return plan


def examine(
    session: WaitingSession, snapshot: Snapshot, validators: Sequence[AbstractValidator]
) -> Verdict:
    """Ask every validator, and keep what each of them refuses."""
    context = ValidatorContext(
        session=session.id,
        request=session.request,
        now_ms=snapshot.now_ms,
        scopes=snapshot.scope_use(session.request.scopes),
    )
    failures: list[Failure] = []
    for validator in validators:
        try:
            validator.validate(context)
        except SchedulerValidationError as error:
            failures.append(Failure(validator.name, str(error), error.cures))
        except Exception as error:  # noqa: BLE001 - a broken rule refuses by its name, and stops nobody else
            broken = f"this rule is broken: {type(error).__name__}: {error}"
            failures.append(Failure(validator.name, broken))
    return Verdict(tuple(failures)) if failures else ADMIT


def _try(
    session: WaitingSession, snapshot: Snapshot, policy: Policy
) -> tuple[Placement | None, Verdict]:
    """Place one session by its cluster mode, or say why not."""
    name = session.request.cluster_mode
    mode = policy.modes.get(name)
    if mode is None:
        # Another replica may have it: it waits, and is not ended.
        why = f"cluster mode {name!r} is not installed where the group is led; installed are: "
        return None, Verdict.blocked(MODE, why + ", ".join(sorted(policy.modes)))
    try:
        needs = snapshot.waiting.needs(session, mode.needs)
        placement = snapshot.reservations.place(
            session,
            lambda: place(session, needs, snapshot.agents, (mode, policy.selector)),
        )
        if placement is not None:
            return placement, ADMIT
        asked = Asked(session, needs, mode)
        return None, snapshot.reservations.refuse(asked, no_room(needs))
    except Exception as error:  # noqa: BLE001 - a broken mode refuses by its name, and stops nobody else
        why = f"cluster mode {name!r} is broken: {type(error).__name__}: {error}"
        return None, Verdict.blocked(MODE, why)


def _never(session: WaitingSession, snapshot: Snapshot, policy: Policy) -> str:
    """Why it can never run, once it found no room; "" where it might."""
    line = snapshot.waiting.line(session.request.id)
    if policy.grows or line is None or not line.needs:
        return ""
    return never_fits(line.needs, snapshot.agents)


def withdraw(snapshot: Snapshot, placement: Placement) -> None:
    """Undo a reservation whose commit was refused."""
    for binding in placement.bindings:
        endpoint = placement.session.request.constraints.endpoint
        snapshot.agents.give(binding.agent, binding.slots, endpoint)
    snapshot.releases.drop(placement.session.id)
    snapshot.hold(placement.session.request, -1)


def no_room(needs: Sequence[Need]) -> Verdict:
    """No agent takes this now. Every freed kernel asks again, so it is worded only when it is noted."""
    return Verdict.blocked(
        NO_ROOM,
        f"no agent has {slot_math.render(needs[0].slots)} free now",
        Cure(AGENTS, "kernels end, an agent joins, or one is undrained (`scheduler agent list`)"),
    )
