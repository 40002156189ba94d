"""The decorators over single calls: `TTLCache`, `SWRCache`, and `cache`, which is both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._configure import Configurable
from ._function import decorate
from ._keys import AUTO
from ._typing import Decorator, Key, Ttl
from .metrics import MetricsCollector


class TTLCache(Configurable):
    """Keeps results for a time."""

    @classmethod
    def cached(
        cls,
        key: Key,
        ttl: Ttl,
        cache: Any = None,
        metrics: MetricsCollector | None = None,
        *,
        cache_if: Callable[[Any], bool] | None = None,
        version: str | int | None = None,
        old: str | None = None,
        jitter: float = 0.0,
        refresh_ahead: float | None = None,
        stale_if_error: float | None = None,
        soft_timeout: float | None = None,
        hard_timeout: float | None = None,
        lock_timeout: float | None = None,
    ) -> Decorator:
        """Cache a function's results for `ttl` seconds. `async def` stays a coroutine function.

        Args:
            key: A template (`"user:{}"`, `"{tenant}/{user.id:08d}"`), or a callable that gets the call's arguments.
            ttl: Seconds; a timedelta; `None` for ever; or a function of the value that returns one of these, where 0
                does not store. Zero or less passes every call through.
            cache: A store, or a factory of one; by default a new `InMemCache`.
            metrics: A collector.
            cache_if: Says of a value whether it is stored.
            version: Becomes part of the key: changed code drops old entries by another version.
            old: The name of a parameter that gets the old value, if there is one, when a value is loaded anew.
            jitter: The largest share of `ttl` by which lives are shortened at random, 0 to 1.
            refresh_ahead: The share of a life after which one call has it refreshed in the background.
            stale_if_error: For how many seconds after `ttl` a value is kept for when a load fails.
            soft_timeout: For how many seconds a call waits for a load when such a value is at hand; the load goes on.
            hard_timeout: For how many seconds a call waits for a load at all; the load goes on.
            lock_timeout: For how many seconds a call waits for another call's load.

        Raises:
            ConfigInvalid: When decorating: the template names what the function does not take, or a setting is wrong.
        """
        store, metrics = cls._given(cache, metrics)

        def decorator(function: Any) -> Any:
            return decorate(
                function,
                key,
                ttl=ttl,
                store=store,
                metrics=metrics,
                kind="TTLCache",
                cache_if=cache_if,
                version=version,
                old=old,
                stale=0,
                jitter=jitter,
                refresh_ahead=refresh_ahead,
                stale_if_error=stale_if_error,
                soft_timeout=soft_timeout,
                hard_timeout=hard_timeout,
                lock_timeout=lock_timeout,
            )

        return decorator


class SWRCache(Configurable):
    """Keeps results for a time, and serves them a while longer while one call refreshes them in the background."""

    @classmethod
    def cached(
        cls,
        key: Key,
        ttl: Ttl,
        stale_ttl: float = 0,
        cache: Any = None,
        enable_lock: bool = True,  # noqa: ARG003  # one refresh at a time is not an option here
        metrics: MetricsCollector | None = None,
        *,
        cache_if: Callable[[Any], bool] | None = None,
        version: str | int | None = None,
        old: str | None = None,
        jitter: float = 0.0,
        refresh_ahead: float | None = None,
        stale_if_error: float | None = None,
        soft_timeout: float | None = None,
        hard_timeout: float | None = None,
        lock_timeout: float | None = None,
    ) -> Decorator:
        """Cache a function's results for `ttl` seconds, and serve them stale for `stale_ttl` more.

        Inside the stale time every call returns at once, and one of them has the value refreshed. After it, a call
        loads and waits. The other settings are those of `TTLCache.cached`; `enable_lock` is accepted and always on.
        """
        store, metrics = cls._given(cache, metrics)

        def decorator(function: Any) -> Any:
            return decorate(
                function,
                key,
                ttl=ttl,
                store=store,
                metrics=metrics,
                kind="SWRCache",
                cache_if=cache_if,
                version=version,
                old=old,
                stale=stale_ttl,
                jitter=jitter,
                refresh_ahead=refresh_ahead,
                stale_if_error=stale_if_error,
                soft_timeout=soft_timeout,
                hard_timeout=hard_timeout,
                lock_timeout=lock_timeout,
            )

        return decorator


def cache(
    ttl: Ttl,
    *,
    key: Key = AUTO,
    stale: float = 0,
    store: Any = None,
    metrics: MetricsCollector | None = None,
    **settings: Any,
) -> Decorator:
    """Cache a function's results: the one-symbol style.

    Args:
        ttl: As in `TTLCache.cached`.
        key: A template or a callable. By default all arguments make the key, in the function's own namespace.
        stale: For how many seconds after `ttl` values are served stale while one call refreshes them.
        store: A store, or a factory of one; by default a new `InMemCache`.
        metrics: A collector.
        **settings: The other settings of `TTLCache.cached`.

    Example:
        >>> @cache(60, key="square:{n}")
        ... def square(n: int) -> int:
        ...     return n * n
        >>> square(4), square(n=4), square.cache_info().loads
        (16, 16, 1)
    """
    return SWRCache.cached(key, ttl, stale, cache=store, metrics=metrics, **settings)
