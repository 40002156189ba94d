"""Decorating: from a function and its settings to one cached function."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from . import _native
from ._flight import Counts, Loads
from ._keys import is_method, plan
from ._typing import Ttl
from .errors import ConfigInvalid
from .metrics import MetricsCollector, watch_with
from .stores import InMemCache, as_cache


class CacheInfo(NamedTuple):
    """How a function was answered; the first four are those of `functools.lru_cache`."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int | None
    stale: int
    loads: int
    errors: int
    tiers: dict[str, dict[str, Any]]


def passes(ttl: Any) -> bool:
    """Say whether a ttl means that nothing is cached: zero or less.

    Raises:
        TypeError: It is no number, timedelta, callable or None.
        ConfigInvalid: It is NaN.
    """
    if ttl is None or callable(ttl):
        return False
    if isinstance(ttl, bool) or not (isinstance(ttl, int | float) or hasattr(ttl, "total_seconds")):
        message = f"`ttl` must be a number of seconds, a timedelta, a callable or None, not `{type(ttl).__name__}`"
        raise TypeError(message)
    seconds = ttl.total_seconds() if hasattr(ttl, "total_seconds") else float(ttl)
    if math.isnan(seconds):
        message = "`ttl` is not a number (NaN)"
        raise ConfigInvalid(message)
    return bool(seconds <= 0)


def decorate(
    function: Any,
    key: str | Callable[..., Any],
    *,
    ttl: Ttl,
    store: Any = None,
    metrics: MetricsCollector | None = None,
    kind: str = "TTLCache",
    name: str | None = None,
    cache_if: Callable[[Any], bool] | None = None,
    version: str | int | None = None,
    old: str | None = None,
    passing: bool = False,
    **policy: Any,
) -> Any:
    """Put a cache in front of a function, a method, a classmethod or a staticmethod."""
    around = type(function) if isinstance(function, classmethod | staticmethod) else None
    if around is not None:
        function = function.__func__
    if not callable(function):
        message = f"only functions can be cached, not `{type(function).__name__}`"
        raise TypeError(message)
    passing = passes(ttl) or passing
    given = resolve(store)
    core = as_cache(given)
    ask = _native.Ask(_native.Policy(None if callable(ttl) else ttl, **policy))
    name = name or str(getattr(function, "__name__", "function"))
    watch = watch_with(metrics, name, kind)
    loads = Loads(function, core, ask, ttl=ttl, cache_if=cache_if, old=old, watch=watch)
    keys, prefix = plan(function, key, method=is_method(function), version=version, old=old)
    is_async = inspect.iscoroutinefunction(function)
    cached = _native.CachedFunction.make(
        function,
        core,
        ask,
        keys,
        loads.call_async if is_async else loads.call,
        is_async=is_async,
        is_method=is_method(function),
        passes=passing,
        on_hit=None if watch is None else watch.on_hit,
    )
    functools.update_wrapper(cached, function)
    if watch is not None:
        watch.count(lambda: sum(cached.near_hits), lambda: core.stats()["tiers"])
    _attach(cached, given, core, loads, prefix, is_async=is_async, is_fixed="fixed" in keys, is_private=store is None)
    return cached if around is None else around(cached)


def resolve(store: Any) -> Any:
    """Return a store: the one given, what a factory makes, or a new one in memory."""
    if store is None:
        return InMemCache()
    if isinstance(store, type) or (callable(store) and not hasattr(store, "get")):
        return store()
    return store


def _attach(
    cached: Any,
    store: Any,
    core: _native.Cache,
    loads: Loads,
    prefix: str,
    *,
    is_async: bool,
    is_fixed: bool,
    is_private: bool,
) -> None:
    """Give a cached function what it offers beside being called."""

    def each(operation: str) -> Callable[..., Any]:
        verb = getattr(core, f"{operation}_async" if is_async else operation)

        def run(*args: Any, **kwargs: Any) -> Any:
            key = cached.key_for(*args, **kwargs)
            if loads.watch is not None:
                loads.watch(operation, key, 0.0, None)
            return verb(key)

        return run

    def refresh(*args: Any, **kwargs: Any) -> Any:
        """Load anew, whatever the cache holds, and return the value."""
        verb = loads.refresh_async if is_async else loads.refresh
        return verb(cached.key_for(*args, **kwargs), args, kwargs)

    def skip(*names: str) -> Callable[..., Any]:
        """Return the function for calls that neither read nor write the tiers of these names."""
        unknown = [name for name in names if name not in core.tier_names]
        if unknown:
            message = f"no tier is called `{unknown[0]}`; there are {', '.join(core.tier_names)}"
            raise ConfigInvalid(message)
        ask = loads.ask.skipping(list(names))
        verb = loads.call_async if is_async else loads.call
        return lambda *args, **kwargs: verb(cached.key_for(*args, **kwargs), args, kwargs, ask)

    def clear() -> Any:
        """Delete every entry of this function: that of a fixed key, or those whose keys begin as all of its keys do."""
        if is_fixed:
            return (core.delete_async if is_async else core.delete)(cached.key_for())
        if not prefix and not is_private:
            message = (
                "nothing tells this function's keys from others in its store: "
                "clear the store, or begin the key template with a name"
            )
            raise ConfigInvalid(message)
        return (core.clear_async if is_async else core.clear)(prefix)

    def cache_info() -> CacheInfo:
        """Say how the function was answered."""
        return _info(loads.counts, cached.near_hits, core)

    cached.store = cached._cache = store
    cached.invalidate = each("delete")
    cached.expire = each("expire")
    cached.refresh = refresh
    cached.skip = skip
    cached.clear = clear
    cached.cache_info = cache_info


def _info(counts: Counts, near_hits: tuple[int, int], core: _native.Cache) -> CacheInfo:
    fresh, stale = near_hits
    usage = core.near_usage(measure=False)
    return CacheInfo(
        hits=fresh + counts.hits,
        misses=counts.misses,
        maxsize=usage[2] if usage else None,
        currsize=usage[0] if usage else None,
        stale=stale + counts.stale,
        loads=counts.loads,
        errors=counts.errors,
        tiers=core.stats()["tiers"],
    )
