"""A scheduler for Python shops with Redis: sessions, scaling groups, agents; answers to "why not"."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scheduler.client import Client, Graph, Office, Session
    from scheduler.domain.dependency import EdgePolicy
    from scheduler.domain.errors import SchedulerError
    from scheduler.domain.graph import GraphJob, GraphSpec
    from scheduler.domain.job_events import SchedulerEvent
    from scheduler.domain.office import JobSchedulerConfig
    from scheduler.domain.queue import JobQueueStats
    from scheduler.domain.retry import RetryPolicy
    from scheduler.domain.session import SessionData
    from scheduler.domain.spec import ClusterMode, OnLost, SessionSpec, SessionType
    from scheduler.domain.states import SessionState

__all__ = [
    "Client",
    "ClusterMode",
    "EdgePolicy",
    "Graph",
    "GraphJob",
    "GraphSpec",
    "JobQueueStats",
    "JobSchedulerConfig",
    "Office",
    "OnLost",
    "RetryPolicy",
    "SchedulerError",
    "SchedulerEvent",
    "Session",
    "SessionData",
    "SessionSpec",
    "SessionState",
    "SessionType",
]

_HOMES = {
    "Client": "scheduler.client",
    "Session": "scheduler.client",
    "Graph": "scheduler.client",
    "Office": "scheduler.client",
    "JobQueueStats": "scheduler.domain.queue",
    "JobSchedulerConfig": "scheduler.domain.office",
    "RetryPolicy": "scheduler.domain.retry",
    "GraphJob": "scheduler.domain.graph",
    "GraphSpec": "scheduler.domain.graph",
    "EdgePolicy": "scheduler.domain.dependency",
    "SchedulerError": "scheduler.domain.errors",
    "SchedulerEvent": "scheduler.domain.job_events",
    "SessionData": "scheduler.domain.session",
    "SessionState": "scheduler.domain.states",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: kernels of agents import this package, and need no Redis."""
    if name not in __all__:
        raise AttributeError(f"module 'scheduler' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "scheduler.domain.spec")), name)
