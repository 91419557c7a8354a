"""All a leader knows of its group, and how it is loaded from the store at the beginning of a term."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.releases import STOP_MS, end_of
from scheduler.cycle.snapshot import AGENTS, Snapshot, scope_event
from scheduler.cycle.waiting import WaitingRoom, WaitingSession
from scheduler.domain.agent import Beat
from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.request import Request
from scheduler.domain.scope import Scope
from scheduler.domain.session import SessionData
from scheduler.intake.board import Board, PlacedSession, placed_from
from scheduler.leader.placed import read_placed, stands
from scheduler.plugins.interfaces import AbstractScheduler
from scheduler.store.agents import AgentRepository
from scheduler.store.leadership import LeaderStore
from scheduler.store.offices import OfficeRepository
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository
from scheduler.store.use import UseRepository

#: READY sessions loaded per step: 2,000 take about 60 ms, during which nothing else is done.
READY_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Repositories:
    """What a leader reads through."""

    leader: LeaderStore
    sessions: SessionRepository
    agents: AgentRepository
    scopes: ScopeRepository
    offices: OfficeRepository
    use: UseRepository


@dataclass(slots=True)
class LeaderState:
    """The picture of one group in one term."""

    options: ScalingGroupOpts
    board: Board
    snapshot: Snapshot
    reports_cursor: str = "0-0"
    inbox_cursor: str = "0-0"
    beats: dict[str, Beat] = field(default_factory=dict)
    loaded_up_to: str | None = (
        None  #: score of the last READY session loaded; None before the first
    )
    all_loaded: bool = False
    #: READY and can never be placed: why.
    unplaceable: dict[str, str] = field(default_factory=dict)
    #: Listed as READY by records that make no sense, so that nothing can be done about them.
    aside: set[str] = field(default_factory=set)
    #: Placed, and a move broke on their records; left alone for the rest of the term.
    broken: set[str] = field(default_factory=set)
    suspects: set[str] = field(
        default_factory=set
    )  #: waited when a reload began, and were not met in it yet

    @property
    def agents(self) -> AgentTable:
        """The agents of the snapshot."""
        return self.snapshot.agents

    @property
    def waiting(self) -> WaitingRoom:
        """The waiting sessions of the snapshot."""
        return self.snapshot.waiting

    def reachable(self) -> str:
        """The largest idle agents as JSON text, against which submits are measured."""
        return json.dumps(self.agents.shapes(), separators=(",", ":"))


def load(
    repositories: Repositories, options: ScalingGroupOpts, scheduler: AbstractScheduler
) -> LeaderState:
    """Read what a term begins with: cursors first, then all they might already be part of.

    Waiting sessions come afterwards, page by page, best rank first, so that a new leader places at
    once whatever waits.
    """
    leader = repositories.leader
    picture = Snapshot(AgentTable(), WaitingRoom(scheduler.rank), now_ms=leader.now_ms())
    board = Board(partial(follow, picture))
    picture.existing = board.__iter__
    state = LeaderState(options, board, picture)
    state.inbox_cursor = leader.inbox_cursor()
    state.reports_cursor = leader.cursor()
    for placed in read_placed(leader, repositories.sessions):
        state.board.put(placed)
    load_agents(state, repositories, repositories.agents.ids(leader.term.group))
    # Thousands are of a few kinds.
    placed_of = Counter(session.request.id for session in state.board)
    requests = {session.request.id: session.request for session in state.board}
    for request, count in placed_of.items():
        state.snapshot.hold(requests[request], count)
    held = {scope for request in requests.values() for scope in request.scopes}
    load_scopes(state, repositories, sorted({*repositories.scopes.known(), *held}))
    load_ready_page(state, repositories)
    return state


def follow(snapshot: Snapshot, session: str, placed: PlacedSession | None) -> None:
    """Tell the cycle until when a placed session holds what; None: nothing any more."""
    releases = snapshot.releases
    if placed is None:
        releases.drop(session)
        return
    known = releases.get(session)
    if placed.running_at is not None:
        ends_ms = placed.running_at + placed.timeout_ms + STOP_MS
    elif known is not None:
        ends_ms = known.ends_ms
    else:
        ends_ms = end_of(snapshot.now_ms, placed.timeout_ms)
    live = [kernel for kernel in placed.kernels if kernel.live]
    # Kernels stay where they are: whoever holds as many until then holds what it did.
    if known is None or known.ends_ms != ends_ms or len(known.kernels) != len(live):
        releases.hold(session, ends_ms, live)


def load_agents(state: LeaderState, repositories: Repositories, ids: list[str]) -> None:
    """Read agents anew; those that are gone are forgotten."""
    found = {data.id: data for data in repositories.agents.many(ids)}
    for agent in ids:
        data = found.get(agent)
        if data is None or data.group != repositories.leader.term.group:
            state.agents.drop(agent)
        else:
            board = state.board
            state.agents.put(data, *board.live_on(agent))
    state.waiting.wake(AGENTS)


def load_scopes(state: LeaderState, repositories: Repositories, scopes: list[Scope]) -> None:
    """Read limits and use of scopes anew, and wake whoever waits for them."""
    for scope, use in repositories.scopes.read(scopes).items():
        state.snapshot.scopes[scope] = use
        state.waiting.wake(scope_event(*scope))


def load_offices(state: LeaderState, repositories: Repositories, offices: set[str]) -> None:
    """Read anew what offices allow and what their jobs inherit, whether they wait or run.

    What runs keeps the deadline that its agents hold; how often it is tried again is as said now.
    """
    scopes = [s for s in state.snapshot.scopes if _is_of(s, offices)]
    load_scopes(state, repositories, scopes)
    waiting = {
        line.request.id for line in state.waiting.lines() if _inherits(line.request, offices)
    }
    placed = [session for session in state.board if _inherits(session.request, offices)]
    found = repositories.sessions.requests(waiting.union(s.request.id for s in placed))
    for request in sorted(waiting & found.keys()):
        state.waiting.renew(found[request])
    for session in placed:
        if renewed := found.get(session.request.id):
            kept = replace(renewed, timeout_ms=session.request.timeout_ms)
            state.board.put(replace(session, request=kept))


def _is_of(scope: Scope, offices: set[str]) -> bool:
    return scope.kind in ("office", "role") and scope.name.partition("/")[0] in offices


def _inherits(request: Request, offices: set[str]) -> bool:
    return bool(request.inherits) and request.office in offices


def load_ready_page(state: LeaderState, repositories: Repositories) -> None:
    """Read the next page of the queue."""
    page = repositories.leader.ready_page(state.loaded_up_to, READY_PAGE)
    load_waiting(state, repositories, [session for session, _ in page])
    state.suspects.difference_update(session for session, _ in page)
    if page:
        state.loaded_up_to = f"{page[-1][1]:.0f}"
    state.all_loaded = len(page) < READY_PAGE
    if state.all_loaded and state.suspects:
        gone, state.suspects = sorted(state.suspects), set()
        still = {w.id for w in repositories.leader.waiting(gone)}
        for session in gone:
            if session not in still:
                state.waiting.discard(session)


def load_ready_anew(state: LeaderState) -> None:
    """Begin to read the queue anew; who is not met in it left without telling, as by an app's cancel."""
    state.loaded_up_to, state.all_loaded = None, False
    state.aside.clear()
    state.suspects = state.waiting.ids()


def load_waiting(state: LeaderState, repositories: Repositories, ids: list[str]) -> None:
    """Read the given READY sessions and let them wait."""
    unknown = [session for session in ids if session not in state.waiting]
    found = repositories.leader.waiting(unknown)
    if len(found) < len(unknown):
        _set_aside(state, repositories, {*unknown}.difference(w.id for w in found))
    requests = repositories.sessions.requests({w.request for w in found})
    new_scopes = {
        scope for request in requests.values() for scope in request.scopes
    } - state.snapshot.scopes.keys()
    if new_scopes:
        load_scopes(state, repositories, sorted(new_scopes))
    for w in found:
        if w.request not in requests:
            state.unplaceable[w.id] = "what it asked for is gone from Redis; submit it again"
        else:
            state.waiting.add(
                WaitingSession(
                    id=w.id,
                    request=requests[w.request],
                    priority=w.priority,
                    seq=w.seq,
                    attempt=w.attempt,
                    digest=w.digest,
                    name=w.name,
                    retries_from=w.retries_from,
                    rescues=w.rescues,
                    failed_on=w.failed_on,
                    waiting_since=w.waiting_since,
                    own_timeout_ms=w.own_timeout_ms,
                )
            )


def _set_aside(state: LeaderState, repositories: Repositories, ids: set[str]) -> None:
    """Of those that do not wait, most left meanwhile; a record that makes no sense is not met again."""
    for session, why in repositories.leader.spoilt(sorted(ids)).items():
        if why:
            state.unplaceable[session] = f"{why}; submit it again"
        else:
            state.aside.add(session)


def look_aside(state: LeaderState, repositories: Repositories) -> None:
    """See whether a hand put right what was set aside."""
    aside, state.aside = sorted(state.aside), set()
    load_waiting(state, repositories, aside)


def reload_placed(
    state: LeaderState, repositories: Repositories, ids: list[str]
) -> list[PlacedSession]:
    """Read placed sessions anew; the ones that still are placed."""
    found: dict[str, SessionData] = {data.id: data for data in repositories.sessions.many(ids)}
    placed = []
    for session in ids:
        known = state.board.get(session)
        state.board.drop(session)
        data = found.get(session)
        if data is None or session in state.broken:
            continue
        if stands(data, repositories.leader.term.group):
            placed.append(placed_from(data))
            state.board.put(placed[-1])
            if known is None:
                state.snapshot.hold(data.request, +1)
    return placed
