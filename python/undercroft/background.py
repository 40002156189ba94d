"""Background loading: `BGCache`, and `bg`, its one-symbol style."""

from __future__ import annotations

import asyncio
import inspect
import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from ._configure import Configurable
from ._flight import LOGGER
from ._function import decorate, resolve
from ._keys import Fixed
from ._native import Found
from ._schedule import SCHEDULE, Job
from ._typing import Decorator
from .metrics import MetricsCollector, watch_with
from .stores import InMemCache, as_cache, entry_async

OnError = Callable[[Exception], Any]
_YEARS = 10 * 365 * 86400.0
"""For how long the last value is kept when refreshes fail: as good as for ever."""
_READS_EVERY = 60.0
_NOTHING = object()


class _Loader:
    """One function that is loaded on a schedule."""

    def __init__(
        self,
        function: Callable[[], Any],
        key: str,
        *,
        interval: float,
        ttl: float | None,
        run_immediately: bool,
        on_error: OnError | None,
        store: Any,
        metrics: MetricsCollector | None,
    ) -> None:
        ttl = interval * 2 if ttl is None else ttl
        self.passes = interval <= 0 or ttl <= 0
        self.key = key
        self.interval = interval
        self.on_error = on_error
        self.store = resolve(store)
        self.watch = watch_with(metrics, key, "BGCache")
        self.core = as_cache(self.store)
        self.cached = decorate(
            function,
            Fixed(key),
            ttl=ttl,
            store=self.store,
            metrics=metrics,
            kind="BGCache",
            name=key,
            passing=self.passes,
            stale=0,
            stale_if_error=_YEARS,
        )
        self.cached._cache_key = key
        self.is_async = inspect.iscoroutinefunction(function)
        self.job: Job | None = None
        if not self.passes:
            self._begin(run_immediately=run_immediately)

    def _begin(self, *, run_immediately: bool) -> None:
        """Load at once where the store has nothing fresh, and put the job on the schedule."""
        loop = _running_loop()
        self.job = Job(self._refresh_async if self.is_async else self._refresh, self.interval, loop=loop)
        if self.is_async:
            # Looking at the store may wait, and must not hold up the loop that registers the loader.
            SCHEDULE.run_async(self._begin_async(self.job, run_immediately=run_immediately), loop)
            return
        found = None
        try:
            found = self.core.entry(self.key)
        except Exception as error:
            # A store that is down must not keep the program from starting.
            self._failed(error)
        if run_immediately and (found is None or not found.is_fresh):
            self._refresh()
        SCHEDULE.add(self.job, self._delay(found))

    async def _begin_async(self, job: Job, *, run_immediately: bool) -> None:
        found = None
        try:
            found = await entry_async(self.core, self.key, ())
        except Exception as error:
            self._failed(error)
        SCHEDULE.add(job, self._delay(found))
        if run_immediately and (found is None or not found.is_fresh):
            await self._refresh_async()

    def _delay(self, found: Found | None) -> float:
        """Return when the next refresh is due: when a warm store's value has the age of one interval."""
        if found is None or not found.is_fresh:
            return self.interval
        return min(self.interval, max(0.0, (found.created_at or 0.0) + self.interval - time.time()))

    def stop(self) -> None:
        """Refresh no more."""
        if self.job is not None:
            self.job.stopped = True

    def _refresh(self) -> None:
        started = time.perf_counter()
        try:
            self.cached.refresh()
        except Exception as error:
            self._ended(started, error)
        else:
            self._ended(started, None)

    async def _refresh_async(self) -> None:
        started = time.perf_counter()
        try:
            await self.cached.refresh()
        except Exception as error:
            self._ended(started, error)
        else:
            self._ended(started, None)

    def _ended(self, started: float, error: Exception | None) -> None:
        if self.watch is not None:
            self.watch.refreshed(error is None, time.perf_counter() - started)
        if error is not None:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if self.on_error is None:
            LOGGER.warning("the background load of `%s` failed", self.key, exc_info=error)
            return
        try:
            self.on_error(error)
        except Exception:
            LOGGER.exception("`on_error` of `%s` failed", self.key)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_loaders: dict[tuple[str, int], _Loader] = {}
_writers: dict[str, _Loader] = {}


def _load(function: Any, key: str, store: Any, settings: dict[str, Any]) -> Any:
    loader = _Loader(function, key, store=store, **settings)
    replaced = _loaders.get((key, id(loader.core)))
    if replaced is not None:
        replaced.stop()
    _loaders[key, id(loader.core)] = loader
    return loader.cached


def _write(function: Any, key: str, store: Any, settings: dict[str, Any]) -> Any:
    if key in _writers:
        message = f"`{key}` has a writer already"
        raise ValueError(message)
    loader = _Loader(function, key, store=store, **settings)
    _writers[key] = loader
    return loader.cached


def _read(
    key: str,
    *,
    interval: float | None,
    ttl: float | None,
    run_immediately: bool,
    on_error: OnError | None,
    store: Any,
    metrics: MetricsCollector | None = None,
) -> Callable[[], Any]:
    """Make a reader: a callable that reads a mirror of its own, filled from the store, or from the writer's."""
    source = None if store is None else as_cache(resolve(store))
    if interval is None:
        interval = _writers[key].interval if key in _writers else _READS_EVERY

    def look() -> Any:
        cores = [source] if source is not None else []
        writer = _writers.get(key)
        if writer is not None and writer.core is not source:
            cores.append(writer.core)
        for core in cores:
            found = core.entry(key)
            if found is not None:
                return found.value
        return _NOTHING

    def read() -> Any:
        """Return the value, or `None` where the store has none."""
        try:
            value = mirror()
        except Exception as error:
            if on_error is None:
                LOGGER.warning("the read of `%s` failed", key, exc_info=error)
            else:
                on_error(error)
            return None
        return None if value is _NOTHING else value

    ttl = (interval * 2 if interval > 0 else 0) if ttl is None else ttl
    own = InMemCache(max_entries=1)
    mirror = decorate(
        look,
        Fixed(key),
        ttl=ttl,
        store=own,
        metrics=metrics,
        kind="BGCache",
        name=key,
        cache_if=lambda value: value is not _NOTHING,
        stale=0,
        stale_if_error=_YEARS,
    )

    known = weakref.ref(read)

    def renew() -> None:
        if known() is None:
            # Nobody reads any more.
            job.stopped = True
            return
        try:
            mirror.refresh()
        except Exception as error:
            if on_error is None:
                LOGGER.warning("the read of `%s` failed", key, exc_info=error)
            else:
                on_error(error)

    job = Job(renew, interval)
    if interval > 0 and ttl > 0:
        SCHEDULE.add(job, interval)
        if run_immediately:
            renew()
    read.store = read._cache = own  # type: ignore[attr-defined]
    read._cache_key = key  # type: ignore[attr-defined]
    return read


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
        settings = {
            "interval": interval_seconds,
            "ttl": ttl,
            "run_immediately": run_immediately,
            "on_error": on_error,
            "metrics": metrics,
        }
        return lambda function: _load(function, key, store, settings)

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
        settings = {
            "interval": interval_seconds,
            "ttl": ttl,
            "run_immediately": run_immediately,
            "on_error": on_error,
            "metrics": metrics,
        }
        return lambda function: _write(function, key, store, settings)

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
        return _read(
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
        for loader in (*_loaders.values(), *_writers.values()):
            loader.stop()
        _loaders.clear()
        _writers.clear()
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
        return _read(
            key,
            interval=interval,
            ttl=ttl,
            run_immediately=run_immediately,
            on_error=on_error,
            store=store,
            metrics=metrics,
        )
