"""Exporters: metrics for Prometheus and OpenTelemetry."""
