"""Graphs of an office: how they stand, and cancelled whole."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from scheduler.api.answers import answer
from scheduler.api.models.common import problems
from scheduler.api.models.graphs import Graph
from scheduler.api.models.jobs import CancelledAll
from scheduler.api.routing import GraphId, GuardedRoute, OfficeId, StoreOf, needs
from scheduler.domain.api_key import Role
from scheduler.operations.graphs import SHOWN, graph_of, read_graph

router = APIRouter(
    prefix="/api/offices/{office_id}/graphs", tags=["graphs"], route_class=GuardedRoute
)

LARGEST: Final = 10_000


@router.get(
    "/{graph_id}",
    response_model=Graph,
    responses=problems(404),
    openapi_extra=needs(Role.VIEWER),
)
def show(
    office_id: OfficeId,
    graph_id: GraphId,
    store: StoreOf,
    limit: Annotated[
        int, Query(ge=1, le=LARGEST, description="Jobs that are shown, parents first.")
    ] = SHOWN,
) -> Response:
    """A graph: how many of its jobs are in which state, and of the first of them what each needs."""
    graph_of(store, office_id, graph_id)
    return answer(read_graph(store, graph_id, limit=limit).as_dict())


@router.post(
    "/{graph_id}/cancel",
    response_model=CancelledAll,
    responses=problems(404),
    openapi_extra=needs(Role.SUBMITTER),
)
def cancel(office_id: OfficeId, graph_id: GraphId, store: StoreOf) -> Response:
    """Cancel all its jobs that have not ended."""
    graph_of(store, office_id, graph_id)
    return answer({"cancelled": store.graphs.cancel(graph_id, "its graph was cancelled")})
