"""Metrics for OpenTelemetry, through `opentelemetry-api` (`pip install undercroft[opentelemetry]`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.metrics import Observation, get_meter

from undercroft.metrics import InMemoryMetrics


class OpenTelemetryMetrics(InMemoryMetrics):
    """A collector whose counts a meter observes when it reads; a hit costs nothing extra.

    Args:
        meter: An OpenTelemetry meter; by default the global provider's.
    """

    def __init__(self, meter: Any = None) -> None:
        super().__init__()
        meter = get_meter("undercroft") if meter is None else meter
        for what in ("hits", "misses", "sets", "deletes"):
            meter.create_observable_counter(f"undercroft.{what}", callbacks=[self._observe(what)], unit="1")

        meter.create_observable_counter("undercroft.tier.requests", callbacks=[self._observe_requests], unit="1")
        for what, unit in (("bytes_sent", "By"), ("bytes_received", "By"), ("cost", "USD"), ("retries", "1")):
            meter.create_observable_counter(f"undercroft.tier.{what}", callbacks=[self._observe_tiers(what)], unit=unit)

    def _observe_requests(self, _: Any) -> Iterable[Observation]:
        for cache, tier, counts in self._far():
            for operation, count in counts["requests"].items():
                yield Observation(count, {"cache": cache, "tier": tier, "operation": operation})

    def _observe_tiers(self, what: str) -> Callable[[Any], Iterable[Observation]]:
        def observe(_: Any) -> Iterable[Observation]:
            for cache, tier, counts in self._far():
                yield Observation(counts[what], {"cache": cache, "tier": tier})

        return observe

    def _far(self) -> Iterable[tuple[str, str, dict[str, Any]]]:
        for cache, tiers in self.get_stats()["tiers"].items():
            yield from ((cache, tier, counts) for tier, counts in tiers.items() if "requests" in counts)

    def _observe(self, what: str) -> Callable[[Any], Iterable[Observation]]:
        def observe(_: Any) -> Iterable[Observation]:
            for name, counts in self.get_stats()["caches"].items():
                yield Observation(counts[what], {"cache": name})

        return observe
