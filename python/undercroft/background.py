"""Background loading: `BGCache`, and `bg`, its one-symbol style."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ._configure import Configurable
from ._loaders import LOADERS, WRITERS, OnError, load, read_mirror, write
from ._schedule import SCHEDULE
from ._typing import Decorator
from .metrics import MetricsCollector


class BGCache(Configurable):
    """Loads in the background on a schedule, so that callers find a value and never wait for one."""

    @classmethod
    def register_loader(
        cls,
        key: str,
        interval_seconds: float,
        ttl: float | None = None,
        run_immediately: bool = True,
        on_error: OnError | None = None,
        cache: Any = None,
        metrics: MetricsCollector | None = None,
    ) -> Decorator:
        """Load a function without parameters every `interval_seconds`.

        Args:
            key: The key of its value.
            interval_seconds: Seconds between two loads; zero or less passes every call through.
            ttl: For how many seconds a value is fresh; by default twice the interval.
            run_immediately: Whether it is loaded now, if the store has nothing fresh.
            on_error: Is called with what a load raises; the last value is kept.
            cache: A store, or a factory of one; by default a new `InMemCache`.
            metrics: A collector.

        A coroutine function is loaded in the event loop that runs now, or in one of the library's own where none does.
        """
        store, metrics = cls._given(cache, metrics)
        return lambda function: load(
            function,
            key,
            store,
            interval=interval_seconds,
            ttl=ttl,
            run_immediately=run_immediately,
            on_error=on_error,
            metrics=metrics,
        )

    @classmethod
    def register_writer(
        cls,
        key: str,
        interval_seconds: float,
        ttl: float | None = None,
        run_immediately: bool = True,
        on_error: OnError | None = None,
        cache: Any = None,
        metrics: MetricsCollector | None = None,
    ) -> Decorator:
        """Like `register_loader`, as the one writer of `key` in this process, whom readers find.

        Raises:
            ValueError: The key has a writer already.
        """
        store, metrics = cls._given(cache, metrics)
        return lambda function: write(
            function,
            key,
            store,
            interval=interval_seconds,
            ttl=ttl,
            run_immediately=run_immediately,
            on_error=on_error,
            metrics=metrics,
        )

    @classmethod
    def get_reader(
        cls,
        key: str,
        interval_seconds: float | None = None,
        ttl: float | None = None,
        *,
        run_immediately: bool = True,
        on_error: OnError | None = None,
        cache: Any = None,
    ) -> Callable[[], Any]:
        """Return a callable that reads a private mirror of what the writer wrote; `None` where there is nothing.

        Args:
            key: The key of the writer.
            interval_seconds: Seconds between two looks at the store; by default the writer's, else 60.
            ttl: For how many seconds the mirror is good; by default twice the interval.
            run_immediately: Whether the mirror is filled now.
            on_error: Is called with what a look raises.
            cache: The store; in the writer's own process its store is found too.
        """
        store, metrics = cls._given(cache, None)
        return read_mirror(
            key,
            interval=interval_seconds,
            ttl=ttl,
            run_immediately=run_immediately,
            on_error=on_error,
            store=store,
            metrics=metrics,
        )

    @classmethod
    def shutdown(cls, wait: bool = True) -> None:
        """Stop all loading in the background, and wait for what runs."""
        for loader in (*LOADERS.values(), *WRITERS.values()):
            loader.stop()
        LOADERS.clear()
        WRITERS.clear()
        SCHEDULE.stop(wait=wait)


class bg:  # noqa: N801  # the documented name
    """Load a function without parameters in the background: the one-symbol style of `BGCache`.

    Args:
        interval: Seconds between two loads.
        key: The key of the value.
        ttl: For how many seconds a value is fresh; by default twice the interval.
        store: A store, or a factory of one; by default a new `InMemCache`.
        metrics: A collector.
        run_immediately: Whether it is loaded now, if the store has nothing fresh.
        on_error: Is called with what a load raises.
    """

    shutdown: ClassVar[Callable[..., None]] = BGCache.shutdown

    def __init__(
        self,
        interval: float,
        *,
        key: str,
        ttl: float | None = None,
        store: Any = None,
        metrics: MetricsCollector | None = None,
        run_immediately: bool = True,
        on_error: OnError | None = None,
    ) -> None:
        self._decorate = BGCache.register_loader(key, interval, ttl, run_immediately, on_error, store, metrics)

    def __call__(self, function: Any) -> Any:  # noqa: D102
        return self._decorate(function)

    @staticmethod
    def write(
        interval: float,
        *,
        key: str,
        ttl: float | None = None,
        store: Any = None,
        metrics: MetricsCollector | None = None,
        run_immediately: bool = True,
        on_error: OnError | None = None,
    ) -> Decorator:
        """Like `bg`, as the one writer of `key` in this process."""
        return BGCache.register_writer(key, interval, ttl, run_immediately, on_error, store, metrics)

    @staticmethod
    def read(
        key: str,
        *,
        interval: float | None = None,
        ttl: float | None = None,
        store: Any = None,
        metrics: MetricsCollector | None = None,
        run_immediately: bool = True,
        on_error: OnError | None = None,
    ) -> Callable[[], Any]:
        """Return a callable that reads a private mirror of what the writer wrote."""
        return read_mirror(
            key,
            interval=interval,
            ttl=ttl,
            run_immediately=run_immediately,
            on_error=on_error,
            store=store,
            metrics=metrics,
        )
