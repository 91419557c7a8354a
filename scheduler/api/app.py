"""The app: its pages, and what each request passes through before it comes to one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from fastapi import FastAPI
from limits import parse
from prometheus_client import CollectorRegistry

from scheduler.api import problems
from scheduler.api.guard import Guard, Rate, Verdicts
from scheduler.api.health import LOOK_S, check_server, health_of
from scheduler.api.metrics import RequestMetrics
from scheduler.api.middleware import BodyLimit, Observed
from scheduler.api.openapi import TITLE, document
from scheduler.api.routes import events, graphs, jobs, offices, status, steering
from scheduler.api.streams import Streams
from scheduler.auth.keys import ApiKeys
from scheduler.bootstrap import Store, open_store
from scheduler.observability.metrics import exposition
from scheduler.observability.serving import pages
from scheduler.operations.inspection import measure
from scheduler.settings import Settings
from scheduler.store.audit import AuditRepository
from scheduler.store.connection import connect
from scheduler.store.retrying import RepeatPolicy


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask, and how much."""

    rate: str  #: as 600/minute
    body_limit: int  #: bytes
    streams: int
    streams_per_key: int
    insecure: bool = False  #: nobody shows a key: for one developer, on loopback


def make_api(settings: Settings, *, insecure: bool = False) -> FastAPI:
    """The app over a store of its own; nothing is asked of Redis yet."""
    looks = connect(settings.redis_url, policy=RepeatPolicy(times=0), timeout=LOOK_S)
    access = Access(
        settings.api_rate,
        settings.api_body_limit,
        settings.api_streams,
        settings.api_streams_per_key,
        insecure,
    )
    return create_app(open_store(settings), access, open_store(settings, looks))


def create_app(store: Store, access: Access, looks: Store | None = None) -> FastAPI:
    """The app over a store; health is asked of ``looks``, which does not wait long for an answer."""
    app = FastAPI(
        title=TITLE,
        version=version("session-scheduler"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    keys, registry = ApiKeys(store.api_keys), CollectorRegistry()
    streams = Streams(
        access.streams,
        access.streams_per_key,
        store.clock,
        (lambda _: None) if access.insecure else keys.check,
    )
    app.state.store, app.state.streams = store, streams
    audit = AuditRepository(store.client, store.keys)
    numbers = exposition(lambda: measure(store, audit, ()), registry)
    health = health_of(looks or store, lambda: streams.open)
    routers = [status.status_router(pages(health, numbers))]
    routers += [part.router for part in (offices, steering, jobs, graphs, events)]
    for router in routers:
        app.include_router(router)
    # An app keeps routers, not their pages: which methods a page has is looked up here.
    app.state.pages = [*app.routes, *(page for router in routers for page in router.routes)]
    problems.install(app)
    # The last one added is the first that a request comes to.
    app.add_middleware(BodyLimit, limit=access.body_limit)
    app.add_middleware(
        Guard,
        verdicts=None if access.insecure else Verdicts(keys, store.clock),
        rate=Rate(parse(access.rate), store.clock),
        check=lambda: check_server(store),
    )
    app.add_middleware(Observed, clock=store.clock, metrics=RequestMetrics(registry))
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app
