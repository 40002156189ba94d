"""Metrics for OpenTelemetry, through `opentelemetry-api` (`pip install undercroft[opentelemetry]`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import metrics as otel

from undercroft.metrics import InMemoryMetrics


class OpenTelemetryMetrics(InMemoryMetrics):
    """A collector whose counts a meter observes when it reads; a hit costs nothing extra.

    Args:
        meter: An OpenTelemetry meter; by default the global provider's.
    """

    def __init__(self, meter: Any = None) -> None:
        super().__init__()
        meter = otel.get_meter("undercroft") if meter is None else meter
        for what in ("hits", "misses", "sets", "deletes"):
            meter.create_observable_counter(f"undercroft.{what}", callbacks=[self._observe(what)], unit="1")

    def _observe(self, what: str) -> Callable[[Any], Iterable[otel.Observation]]:
        def observe(_: Any) -> Iterable[otel.Observation]:
            for name, counts in self.get_stats()["caches"].items():
                yield otel.Observation(counts[what], {"cache": name})

        return observe
