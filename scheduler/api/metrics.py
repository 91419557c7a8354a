"""How many requests there were, and how long they took, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class RequestMetrics:
    """Counts of this process; streams are counted when they end, and not measured."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "scheduler_api_requests",
            "Requests by method, page and status",
            ("method", "page", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "scheduler_api_request_seconds",
            "How long requests took, by page",
            ("page",),
            registry=registry,
            buckets=_BUCKETS,
        )

    def count(self, method: str, page: str, status: int, seconds: float) -> None:
        """One request was answered."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, page, str(status)).inc()
        self._seconds.labels(page).observe(seconds)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
