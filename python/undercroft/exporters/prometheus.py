"""Metrics for Prometheus, through `prometheus_client` (`pip install undercroft[prometheus]`)."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from undercroft.metrics import InMemoryMetrics


class PrometheusMetrics(InMemoryMetrics, Collector):
    """A collector whose counts Prometheus reads when it scrapes; a hit costs nothing extra.

    Args:
        namespace: The beginning of every metric's name.
        registry: Where it registers; `None` for nowhere.
    """

    def __init__(self, namespace: str = "undercroft", registry: CollectorRegistry | None = REGISTRY) -> None:
        super().__init__()
        self._namespace = namespace
        if registry is not None:
            registry.register(self)

    def collect(self) -> Any:
        """Yield the metrics as `prometheus_client` asks for them."""
        stats = self.get_stats()
        for what in ("hits", "misses", "sets", "deletes"):
            family = CounterMetricFamily(f"{self._namespace}_{what}", f"Cache {what}.", labels=["cache"])
            for name, counts in stats["caches"].items():
                family.add_metric([name], counts[what])
            yield family
        errors = CounterMetricFamily(f"{self._namespace}_errors", "Failed operations.", labels=["operation", "error"])
        for operation, kinds in stats["errors"].items():
            for kind, count in kinds.items():
                errors.add_metric([operation, kind], count)
        yield errors
        latency = GaugeMetricFamily(
            f"{self._namespace}_latency_seconds", "Latency of operations.", labels=["operation", "quantile"]
        )
        for operation, summary in stats["latency"].items():
            for quantile in ("p50", "p95", "p99"):
                latency.add_metric([operation, quantile], summary[f"{quantile}_ms"] / 1000)
        yield latency
        yield from self._of_tiers(stats["tiers"])

    def _of_tiers(self, caches: dict[str, dict[str, dict[str, Any]]]) -> Any:
        """Yield what far tiers were asked, carried and cost."""
        names = ["cache", "tier"]
        space = f"{self._namespace}_tier"
        requests = CounterMetricFamily(f"{space}_requests", "Requests to a tier.", labels=[*names, "operation"])
        carried = CounterMetricFamily(f"{space}_bytes", "Bytes of bodies to and from a tier.", labels=[*names, "way"])
        cost = CounterMetricFamily(f"{space}_cost_dollars", "Estimated cost of a tier's requests.", labels=names)
        faults = CounterMetricFamily(
            f"{space}_faults", "Faults of a tier, and what came of them.", labels=[*names, "kind"]
        )
        for cache, tiers in caches.items():
            for tier, counts in tiers.items():
                if "requests" not in counts:
                    continue
                for operation, count in counts["requests"].items():
                    requests.add_metric([cache, tier, operation], count)
                for way in ("sent", "received"):
                    carried.add_metric([cache, tier, way], counts[f"bytes_{way}"])
                cost.add_metric([cache, tier], counts["cost"])
                for kind in ("errors", "retries", "timeouts", "refused", "opened"):
                    faults.add_metric([cache, tier, kind], counts[kind])
        yield from (requests, carried, cost, faults)
