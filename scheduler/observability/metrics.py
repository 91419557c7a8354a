"""One catalogue of metrics, and a collector that reads them when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

COUNTER, GAUGE = "counter", "gauge"

MEDIA_TYPE = CONTENT_TYPE_LATEST


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric: what it says, by which labels, and whether it only grows."""

    says: str
    labels: tuple[str, ...] = ()
    kind: str = GAUGE


#: name -> declaration, also for the docs' table. Counters get ``_total`` when they are shown.
CATALOGUE: Mapping[str, Declared] = MappingProxyType(
    {
        "scheduler_redis_up": Declared("1 if Redis answers; all other metrics need it"),
        "scheduler_sessions": Declared("Sessions by group and state", ("group", "state")),
        "scheduler_agents": Declared("Agents by group and status", ("group", "status")),
        "scheduler_group_led": Declared(
            "1 if the group has a leader, this replica or another", ("group",)
        ),
        "scheduler_leads": Declared("1 if this replica leads the group", ("group",)),
        "scheduler_leader_term": Declared("Number of the group's current or last term", ("group",)),
        "scheduler_late_writes": Declared(
            "Writes refused because their leader's term was over", ("group",), COUNTER
        ),
        "scheduler_cycles": Declared(
            "Scheduling cycles that had something to decide", ("group",), COUNTER
        ),
        "scheduler_placed": Declared("Sessions placed", ("group",), COUNTER),
        "scheduler_refused": Declared(
            "Kinds of request that were refused anew, by the rule", ("group", "rule"), COUNTER
        ),
        "scheduler_cycle_busy_seconds": Declared(
            "Time that cycles took together", ("group",), COUNTER
        ),
        "scheduler_cycle_seconds": Declared(
            "How long the last cycles of the term took: median and 99th percentile",
            ("group", "quantile"),
        ),
        "scheduler_events_seq": Declared("Number of the newest event in its epoch"),
    }
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of the catalogue, with its labels in the order declared there."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


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
