"""Health and metrics: the pages that every process of ours has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.responses import Response

from scheduler.api.guard import CLOSED
from scheduler.api.models.common import problems
from scheduler.api.routing import GuardedRoute, needs
from scheduler.domain.api_key import Role
from scheduler.observability.serving import Page, health_facts

_SAYS: Final = {
    "/health": "Whether the API is alive and ready: 503 while it is not ready.",
    "/health/live": "Whether the process answers at all; Redis may be gone.",
    "/health/ready": "Whether requests can be served: 503 while they cannot.",
    "/metrics": "Metrics, as Prometheus reads them.",
}
_FACTS: Final = {"schema": {"type": "object"}, "example": health_facts("api", "", streams=0)}
#: Looks at one page at once; who asks meanwhile waits.
_AT_ONCE: Final = 4


def status_router(pages: Mapping[str, Callable[[], Page]]) -> APIRouter:
    """Pages that are answered as they are; those that tell more than health only with a key."""
    router = APIRouter(tags=["status"])
    for path, page in pages.items():
        how: dict[str, Any] = {"methods": ["GET"], "summary": path, "description": _SAYS[path]}
        if path.startswith(CLOSED):
            text: dict[int | str, dict[str, Any]] = {
                200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
            }
            how |= {"responses": {**problems(), **text}, "response_class": Response}
            how |= {"route_class_override": GuardedRoute, "openapi_extra": needs(Role.VIEWER)}
        else:
            facts = {"application/json": _FACTS}
            how["responses"] = {
                200: {"content": facts},
                503: {"description": "Not ready", "content": facts},
            }
            how["openapi_extra"] = {"security": []}
            # Balancers ask so, of our other processes' pages, too.
            router.add_api_route(path, _answering(page), methods=["HEAD"], include_in_schema=False)
        router.add_api_route(path, _answering(page), **how)
    return router


def _answering(page: Callable[[], Page]) -> Callable[[], Awaitable[Response]]:
    # Threads of its own: whether we are alive must be answered while all others wait for Redis.
    threads = CapacityLimiter(_AT_ONCE)

    async def answer() -> Response:
        found = await run_sync(page, limiter=threads)
        return Response(found.body, found.status, media_type=found.media_type)

    return answer
