"""Metrics: what happened in caches, collected cheaply enough to leave on.

Hits in memory are counted by the function itself; `InMemoryMetrics` asks for the count when it is asked for statistics,
so a hit costs the same with metrics and without. A collector of the user's own is called for every event.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class MetricsCollector(Protocol):
    """What a collector has to offer. Its methods must be quick."""

    def record_hit(self, cache_name: str, key: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Take note of a value served from the cache."""

    def record_miss(self, cache_name: str, key: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Take note of a call that found nothing."""

    def record_set(
        self,
        cache_name: str,
        key: str | None = None,
        value_size: int | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Take note of a value put into the cache."""

    def record_delete(self, cache_name: str, key: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Take note of a value removed."""

    def record_latency(
        self, cache_name: str, operation: str, duration_seconds: float, metadata: dict[str, Any] | None = None
    ) -> None:
        """Take note of how long an operation took, in seconds."""

    def record_error(
        self, cache_name: str, operation: str, error_type: str, metadata: dict[str, Any] | None = None
    ) -> None:
        """Take note of a failure."""

    def record_background_refresh(
        self, cache_name: str, success: bool, duration_seconds: float, metadata: dict[str, Any] | None = None
    ) -> None:
        """Take note of a refresh in the background."""


class InMemoryMetrics:
    """Keeps counts, and the latest latencies of loads, in this process.

    Args:
        max_latency_samples: How many latencies are kept for each cache and operation.
    """

    def __init__(self, max_latency_samples: int = 1000) -> None:
        self._lock = threading.Lock()
        self._samples = max_latency_samples
        self._sources: dict[str, list[Callable[[], int]]] = defaultdict(list)
        self._tiers: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {}
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero."""
        with self._lock:
            self._counts: dict[str, dict[str, int]] = {}
            self._latency: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=self._samples))
            self._errors: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
            self._refreshes: dict[str, dict[str, int]] = {}
            self._memory: dict[str, dict[str, Any]] = {}
            self._already = {name: sum(count() for count in counts) for name, counts in self._sources.items()}
            self._started = time.time()

    def count_hits(self, cache_name: str, count: Callable[[], int]) -> None:
        """Ask `count` for hits that are counted elsewhere."""
        with self._lock:
            self._sources[cache_name].append(count)

    def count_tiers(self, cache_name: str, tiers: Callable[[], dict[str, dict[str, Any]]]) -> None:
        """Ask `tiers` for what each tier was asked, carried and cost. That is counted since the tier exists."""
        with self._lock:
            self._tiers[cache_name] = tiers

    def _count(self, cache_name: str, what: str) -> None:
        with self._lock:
            counts = self._counts.setdefault(cache_name, {"hits": 0, "misses": 0, "sets": 0, "deletes": 0})
            counts[what] += 1

    def record_hit(self, cache_name: str, key: str | None = None, metadata: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Count a hit."""
        self._count(cache_name, "hits")

    def record_miss(self, cache_name: str, key: str | None = None, metadata: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Count a miss."""
        self._count(cache_name, "misses")

    def record_set(
        self,
        cache_name: str,
        key: str | None = None,  # noqa: ARG002
        value_size: int | None = None,  # noqa: ARG002
        metadata: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Count a value put into the cache."""
        self._count(cache_name, "sets")

    def record_delete(self, cache_name: str, key: str | None = None, metadata: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Count a value removed."""
        self._count(cache_name, "deletes")

    def record_latency(
        self,
        cache_name: str,
        operation: str,
        duration_seconds: float,
        metadata: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Keep a latency."""
        with self._lock:
            self._latency[f"{cache_name}.{operation}"].append(duration_seconds)

    def record_error(
        self,
        cache_name: str,
        operation: str,
        error_type: str,
        metadata: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Count a failure."""
        with self._lock:
            self._errors[f"{cache_name}.{operation}"][error_type] += 1

    def record_memory_usage(
        self,
        cache_name: str,
        bytes_used: int,
        entry_count: int | None = None,
        metadata: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Keep the latest size of a cache, in bytes."""
        with self._lock:
            self._memory[cache_name] = {
                "bytes_used": bytes_used,
                "mb_used": round(bytes_used / 1024 / 1024, 3),
                "entry_count": entry_count,
            }

    def record_background_refresh(
        self,
        cache_name: str,
        success: bool,
        duration_seconds: float,
        metadata: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Count a refresh in the background."""
        with self._lock:
            counts = self._refreshes.setdefault(cache_name, {"success": 0, "failure": 0})
            counts["success" if success else "failure"] += 1
            self._latency[f"{cache_name}.refresh"].append(duration_seconds)

    def get_stats(self) -> dict[str, Any]:
        """Return all counts as one document, durations in milliseconds."""
        with self._lock:
            counted = {name: sum(count() for count in counts) for name, counts in self._sources.items()}
            since = {name: hits - self._already.get(name, 0) for name, hits in counted.items()}
            caches = {}
            for name in sorted({*self._counts, *(name for name, hits in since.items() if hits)}):
                counts = dict(self._counts.get(name, {"hits": 0, "misses": 0, "sets": 0, "deletes": 0}))
                counts["hits"] += since.get(name, 0)
                reads = counts["hits"] + counts["misses"]
                caches[name] = {**counts, "hit_rate_percent": round(counts["hits"] / reads * 100, 2) if reads else 0.0}
            return {
                "uptime_seconds": round(time.time() - self._started, 1),
                "caches": caches,
                "latency": {name: _summary(list(samples)) for name, samples in self._latency.items() if samples},
                "errors": {name: dict(errors) for name, errors in self._errors.items()},
                "memory": dict(self._memory),
                "background_refresh": {name: dict(counts) for name, counts in self._refreshes.items()},
                "tiers": {name: tiers() for name, tiers in self._tiers.items()},
            }


def _summary(samples: list[float]) -> dict[str, float]:
    ordered = sorted(samples)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 3)

    return {
        "count": len(ordered),
        "p50_ms": at(0.5),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
        "avg_ms": round(sum(ordered) / len(ordered) * 1000, 3),
    }


class Watch:
    """Tells a collector what happens in one function."""

    def __init__(self, metrics: MetricsCollector, name: str, kind: str) -> None:
        self._metrics = metrics
        self._name = name
        self._metadata = {"decorator": kind}
        self.on_hit = None if isinstance(metrics, InMemoryMetrics) else self._on_hit

    def count(self, near_hits: Callable[[], int], tiers: Callable[[], dict[str, dict[str, Any]]]) -> None:
        """Let a collector that can ask for hits, and for what the tiers did, do so."""
        if isinstance(self._metrics, InMemoryMetrics):
            self._metrics.count_hits(self._name, near_hits)
            self._metrics.count_tiers(self._name, tiers)

    def _on_hit(self, key: str) -> None:
        self._metrics.record_hit(self._name, key, self._metadata)

    def __call__(self, what: str, key: str, seconds: float, error: BaseException | None) -> None:
        """Pass on what happened: `hit`, `miss`, `load`, `error` or `delete`."""
        metrics, name, metadata = self._metrics, self._name, self._metadata
        if what == "hit":
            metrics.record_hit(name, key, metadata)
        elif what == "miss":
            metrics.record_miss(name, key, metadata)
        elif what == "load":
            metrics.record_set(name, key, None, metadata)
            metrics.record_latency(name, "load", seconds, metadata)
        elif what == "delete":
            metrics.record_delete(name, key, metadata)
        elif what == "error":
            metrics.record_error(name, "load", type(error).__name__, metadata)

    def refreshed(self, success: bool, seconds: float) -> None:
        """Pass on the end of a refresh in the background."""
        self._metrics.record_background_refresh(self._name, success, seconds, self._metadata)


def watch_with(metrics: MetricsCollector | None, name: str, kind: str) -> Watch | None:
    """Return what tells `metrics` of a function, if there are any."""
    return None if metrics is None else Watch(metrics, name, kind)
