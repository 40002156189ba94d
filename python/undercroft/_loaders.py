"""What is loaded in the background: loaders, writers, and the readers' mirrors."""

from __future__ import annotations

import functools
import inspect
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._flight import logger
from ._function import decorate, resolve
from ._keys import Fixed
from ._native import Found, Reader
from ._schedule import SCHEDULE, Job
from .metrics import MetricsCollector, watch_with
from .stores import InMemCache, as_cache, entry_async

if TYPE_CHECKING:
    import asyncio

OnError = Callable[[Exception], Any]
_YEARS = 10 * 365 * 86400.0
"""For how long the last value is kept when refreshes fail: as good as for ever."""
_READS_EVERY = 60.0
_NOTHING = object()


class Loader:
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
            logger().warning("the background load of `%s` failed", self.key, exc_info=error)
            return
        try:
            self.on_error(error)
        except Exception:
            logger().exception("`on_error` of `%s` failed", self.key)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


LOADERS: dict[tuple[str, int], Loader] = {}
WRITERS: dict[str, Loader] = {}


def load(function: Any, key: str, store: Any, **settings: Any) -> Any:
    """Load `function` on a schedule, in place of what was loaded under this key in this store."""
    loader = Loader(function, key, store=store, **settings)
    replaced = LOADERS.get((key, id(loader.core)))
    if replaced is not None:
        replaced.stop()
    LOADERS[key, id(loader.core)] = loader
    return loader.cached


def write(function: Any, key: str, store: Any, **settings: Any) -> Any:
    """Load `function` on a schedule, as the one writer of `key`.

    Raises:
        ValueError: The key has a writer already.
    """
    if key in WRITERS:
        message = f"`{key}` has a writer already"
        raise ValueError(message)
    loader = Loader(function, key, store=store, **settings)
    WRITERS[key] = loader
    return loader.cached


def read_mirror(
    key: str,
    *,
    interval: float | None,
    ttl: float | None,
    run_immediately: bool,
    on_error: OnError | None,
    store: Any,
    metrics: MetricsCollector | None = None,
) -> Reader:
    """Make a reader: a callable that reads a mirror of its own, filled from the store, or from the writer's."""
    source = None if store is None else as_cache(resolve(store))
    if interval is None:
        interval = WRITERS[key].interval if key in WRITERS else _READS_EVERY

    def look() -> Any:
        cores = [source] if source is not None else []
        writer = WRITERS.get(key)
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
                logger().warning("the read of `%s` failed", key, exc_info=error)
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

    reader = Reader.make(mirror, read)
    known = weakref.ref(reader)

    def renew() -> None:
        if known() is None:
            # Nobody reads any more.
            job.stopped = True
            return
        try:
            mirror.refresh()
        except Exception as error:
            if on_error is None:
                logger().warning("the read of `%s` failed", key, exc_info=error)
            else:
                on_error(error)

    job = Job(renew, interval)
    if interval > 0 and ttl > 0:
        SCHEDULE.add(job, interval)
        if run_immediately:
            renew()
    functools.update_wrapper(reader, read)
    vars(reader).update(store=own, _cache=own, _cache_key=key)
    return reader
