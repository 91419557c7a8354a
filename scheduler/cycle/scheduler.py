"""One scheduling cycle, as a function of the snapshot: sequence, validate, select, allocate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import ParamSpec, TypeVar

from scheduler.cycle.foresight import Asked
from scheduler.cycle.hooks import HookChain, Hooks
from scheduler.cycle.modes.multi_node import MultiNode
from scheduler.cycle.modes.single_node import SingleNode
from scheduler.cycle.placing import WrongChoice, never_fits, place
from scheduler.cycle.plan import Placement, Plan
from scheduler.cycle.snapshot import AGENTS, Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain import slots as slot_math
from scheduler.domain.errors import InvalidInput
from scheduler.domain.group import Backfill
from scheduler.domain.verdict import ADMIT, MODE, SCHEDULER, SELECTOR, Cure, Verdict
from scheduler.plugins.asking import refusals
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    AbstractScheduler,
    AbstractValidator,
    Need,
    ValidatorContext,
)

NO_ROOM = "agents"
NO_HOOKS: Hooks = HookChain()
#: Sessions that a scheduler may pick in a cycle although they are decided already, or wait no more.
_MOST_STRAYS = 1_000
_STRAYS = "it goes on picking sessions that were decided already"

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


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
    hooks: Hooks = NO_HOOKS


class Broken(Exception):
    """What orders the sessions raised, or goes round in circles."""


def propose(snapshot: Snapshot, policy: Policy, *, limit: int) -> Plan:
    """Decide placements of up to ``limit`` kernels; the last may exceed it.

    Reserves in the snapshot; reads no clock, writes nothing.
    A session that is refused stops nobody: its line sleeps, the others go on, and may delay it no
    further than the group's backfill allows. Where the scheduler itself is broken, all lines sleep, and
    are told so.
    """
    snapshot.reservations.begin(policy.backfill, snapshot.now_ms)
    plan = _decide(snapshot, policy, limit)
    plan.more |= snapshot.reservations.end(whole=not plan.more)
    return plan


def _decide(snapshot: Snapshot, policy: Policy, limit: int) -> Plan:
    plan = Plan()
    try:
        plan.more = _fill(plan, snapshot, policy, limit)
    except Broken as error:
        plan.broken = str(error)
        verdict = Verdict.blocked(SCHEDULER, plan.broken)
        for head in snapshot.waiting.heads():
            if snapshot.waiting.put_to_sleep(head.request.id, verdict):
                plan.refusals[head.request.id] = verdict
    return plan


def _fill(plan: Plan, snapshot: Snapshot, policy: Policy, limit: int) -> bool:
    """Try one session after the other; whether there is more to try."""
    scheduler, waiting = policy.scheduler, snapshot.waiting
    if waiting.broken:
        raise Broken(f"scheduler {scheduler.name!r} is broken: {waiting.broken}")
    policy.hooks.begin()
    call(policy.selector, policy.selector.learn, waiting.take_arrived())
    call(scheduler, snapshot.order, scheduler)
    # Kernels count, not sessions: a commit takes as long as what it writes.
    left, strays = limit, 0
    while left > 0 and not policy.hooks.spent:
        session = call(scheduler, scheduler.pick_session)
        if session is None:
            return False
        if not isinstance(session, WaitingSession) or not waiting.is_awake(session):
            strays += 1
            if strays > _MOST_STRAYS:
                raise Broken(f"scheduler {scheduler.name!r} is broken: {_STRAYS}")
            continue
        verdict = examine(session, snapshot, policy.validators, policy.hooks)
        if verdict.admits:
            placement, verdict = _try(plan, session, snapshot, policy)
            if placement is not None:
                snapshot.hold(session.request, +1)
                plan.placements.append(placement)
                left -= len(placement.bindings)
                successor = waiting.successor(session)
                call(scheduler, scheduler.update_allocation, session, successor)
                continue
            if never := _never(session, snapshot, policy):
                plan.impossible += [(s, never) for s in waiting.of(session.request.id)]
        call(scheduler, scheduler.update_refusal, session)
        if waiting.put_to_sleep(session.request.id, verdict):
            plan.refusals[session.request.id] = verdict
    snapshot.stopped(scheduler)
    return True


def call(
    plugin: AbstractScheduler | AbstractAgentSelector,
    method: Callable[Given, Answer],
    *args: Given.args,
    **kwargs: Given.kwargs,
) -> Answer:
    """Ask a plugin. Raises Broken, whatever it raises."""
    try:
        return method(*args, **kwargs)
    except InvalidInput as error:
        raise Broken(str(error)) from error
    except Exception as error:
        kind = "scheduler" if isinstance(plugin, AbstractScheduler) else "selector"
        why = f"{kind} {plugin.name!r} is broken: {type(error).__name__}: {error}"
        raise Broken(why) from error


def examine(
    session: WaitingSession,
    snapshot: Snapshot,
    validators: Sequence[AbstractValidator],
    hooks: Hooks = NO_HOOKS,
) -> Verdict:
    """Ask every validator, and keep what each of them refuses; if none does, ask every hook."""
    context = ValidatorContext(
        session=session.id,
        request=session.request,
        now_ms=snapshot.now_ms,
        scopes=snapshot.scope_use(session.request.scopes),
    )
    # Hooks take time: what does not run anyway is not asked about.
    refused = refusals(validators, context) or hooks.check(context)
    return Verdict(refused) if refused else ADMIT


def _try(
    plan: Plan, session: WaitingSession, snapshot: Snapshot, policy: Policy
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
        by, of = MODE, f"cluster mode {name!r}"
        if isinstance(error, WrongChoice) or _raised_in(error, policy.selector):
            by, of = SELECTOR, f"agent selector {policy.selector.name!r}"
        why = f"{of} is broken: {type(error).__name__}: {error}"
        plan.faults.setdefault(why, error)
        return None, Verdict.blocked(by, why)


def _raised_in(error: Exception, plugin: object) -> bool:
    """Whether it was raised in a method of a plugin, or below one."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(frame.f_locals.get("self") is plugin for frame in frames)


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
