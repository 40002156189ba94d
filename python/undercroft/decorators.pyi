from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from ._function import CacheInfo
from .metrics import MetricsCollector

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
Ttl = float | timedelta | None | Callable[[Any], float | timedelta | None]
Key = str | Callable[..., Any]

class BoundCached(Protocol[P, R_co]):
    store: Any
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    def expire(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def cache_info(self) -> CacheInfo: ...

class Cached(Generic[P, R_co]):
    store: Any
    __wrapped__: Callable[P, R_co]
    __name__: str
    __qualname__: str
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Cached[P, R_co]: ...
    @overload
    def __get__(
        self: Cached[Concatenate[S, P], R_co], instance: S, owner: type | None = None, /
    ) -> BoundCached[P, R_co]: ...
    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    def expire(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    def skip(self, *names: str) -> Callable[P, R_co]: ...
    def clear(self) -> Any: ...
    def cache_info(self) -> CacheInfo: ...

class Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Cached[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Cached[P, R]: ...

class TTLCache:
    @classmethod
    def configure(cls, cache: Any = None, metrics: MetricsCollector | None = None) -> type[TTLCache]: ...
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
    ) -> Decorator: ...

class SWRCache:
    @classmethod
    def configure(cls, cache: Any = None, metrics: MetricsCollector | None = None) -> type[SWRCache]: ...
    @classmethod
    def cached(
        cls,
        key: Key,
        ttl: Ttl,
        stale_ttl: float = 0,
        cache: Any = None,
        enable_lock: bool = True,
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
    ) -> Decorator: ...

def cache(
    ttl: Ttl,
    *,
    key: Key = "{}",
    stale: float = 0,
    store: Any = None,
    metrics: MetricsCollector | None = None,
    **settings: Any,
) -> Decorator: ...
