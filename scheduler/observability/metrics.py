"""A collector that reads the metrics of the catalogue when somebody asks, and their page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from scheduler.observability.catalogue import CATALOGUE, COUNTER, Sample

MEDIA_TYPE = CONTENT_TYPE_LATEST


class SnapshotCollector(Collector):
    """Asks for a snapshot at each scrape, so that nothing is counted twice or stale."""

    def __init__(self, snapshot: Callable[[], Iterable[Sample]]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterator[Metric]:
        """The families, without asking for a snapshot: registering must not need Redis."""
        yield from map(_family, CATALOGUE)

    def collect(self) -> Iterator[Metric]:
        """The families that have samples."""
        families = {name: _family(name) for name in CATALOGUE}
        for sample in self._snapshot():
            families[sample.name].add_metric(sample.labels, sample.value)
        return (family for family in families.values() if family.samples)


def _family(name: str) -> GaugeMetricFamily | CounterMetricFamily:
    declared = CATALOGUE[name]
    kind = CounterMetricFamily if declared.kind == COUNTER else GaugeMetricFamily
    return kind(name, declared.says, labels=declared.labels)


def exposition(
    snapshot: Callable[[], Iterable[Sample]], registry: CollectorRegistry | None = None
) -> Callable[[], bytes]:
    """A function that renders the metrics as Prometheus reads them, those of this process too.

    ``registry`` holds what the process counts by itself.
    """
    registry = registry or CollectorRegistry()
    registry.register(SnapshotCollector(snapshot))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)
