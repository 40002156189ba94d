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

    def _observe(self, what: str) -> Callable[[Any], Iterable[Observation]]:
        def observe(_: Any) -> Iterable[Observation]:
            for name, counts in self.get_stats()["caches"].items():
                yield Observation(counts[what], {"cache": name})

        return observe
