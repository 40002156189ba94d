"""Metrics: counts, a collector of the user's own, exporters."""

from __future__ import annotations

import pytest
from undercroft import InMemoryMetrics, MetricsCollector, TTLCache


def test_counts_of_a_function():
    metrics = InMemoryMetrics()
    assert isinstance(metrics, MetricsCollector)

    @TTLCache.cached("user:{}", 60, metrics=metrics)
    def get_user(number):
        if number < 0:
            raise KeyError(number)
        return number

    for number in (1, 1, 1, 2):
        get_user(number)
    with pytest.raises(KeyError):
        get_user(-1)

    get_user.invalidate(2)
    get_user.expire(1)

    stats = metrics.get_stats()
    assert stats["caches"]["get_user"] == {"hits": 2, "misses": 3, "sets": 2, "deletes": 1, "hit_rate_percent": 40.0}
    assert stats["errors"] == {"get_user.load": {"KeyError": 1}}
    assert stats["latency"]["get_user.load"]["count"] == 2
    metrics.reset()
    assert metrics.get_stats()["caches"] == {}
    get_user(1)
    assert metrics.get_stats()["caches"]["get_user"]["hits"] == 1


def test_a_collector_of_the_users_own():
    heard = []

    class Own:
        def __getattr__(self, name):
            return lambda *args: heard.append((name, *args[:2]))

    @TTLCache.cached("k:{}", 60, metrics=Own())
    def load(number):
        return number

    load(1), load(1)
    assert [event for event in heard if event[0] != "record_latency"] == [
        ("record_miss", "load", "k:1"),
        ("record_set", "load", "k:1"),
        ("record_hit", "load", "k:1"),
    ]


def test_prometheus():
    prometheus = pytest.importorskip("prometheus_client")
    from undercroft.exporters.prometheus import PrometheusMetrics

    registry = prometheus.CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry)

    @TTLCache.cached("k", 60, metrics=metrics)
    def load():
        return 1

    load(), load(), load()
    text = prometheus.generate_latest(registry).decode()
    assert 'undercroft_hits_total{cache="load"} 2.0' in text
    assert 'undercroft_misses_total{cache="load"} 1.0' in text


def test_opentelemetry():
    pytest.importorskip("opentelemetry.sdk.metrics")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from undercroft.exporters.opentelemetry import OpenTelemetryMetrics

    reader = InMemoryMetricReader()
    metrics = OpenTelemetryMetrics(MeterProvider([reader]).get_meter("test"))

    @TTLCache.cached("k", 60, metrics=metrics)
    def load():
        return 1

    load(), load()
    data = reader.get_metrics_data()
    found = {
        metric.name: point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    assert found["undercroft.hits"] == 1
