"""For those who test against the scheduler: a cluster of real processes, and checks of what it did."""

from scheduler.testing.cluster import Cluster
from scheduler.testing.evidence import Evidence, WitnessEntry
from scheduler.testing.waiting import wait_until
from scheduler.testing.watched import WatchedRedis

__all__ = ["Cluster", "Evidence", "WatchedRedis", "WitnessEntry", "wait_until"]
