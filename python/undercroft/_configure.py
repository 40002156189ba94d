"""Defaults that `configure` sets for a subclass of a decorator class."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

    from .metrics import MetricsCollector


class Configurable:
    """A decorator class with defaults that `configure` sets for a subclass."""

    _store: ClassVar[Any] = None
    _metrics: ClassVar[MetricsCollector | None] = None

    @classmethod
    def configure(cls, cache: Any = None, metrics: MetricsCollector | None = None) -> type[Self]:
        """Return a subclass with a default store, and default metrics, for every method."""
        names = {"_store": staticmethod(cache) if inspect.isroutine(cache) else cache, "_metrics": metrics}
        return type(f"Configured{cls.__name__}", (cls,), names)

    @classmethod
    def _given(cls, cache: Any, metrics: MetricsCollector | None) -> tuple[Any, MetricsCollector | None]:
        return (cls._store if cache is None else cache), (cls._metrics if metrics is None else metrics)
