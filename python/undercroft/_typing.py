"""What decorators give back, for type checkers: the function's own signature, and what a cached function offers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from ._function import CacheInfo

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
Ttl = float | timedelta | None | Callable[[Any], Any]
Key = str | Callable[..., Any]


class BoundCached(Protocol[P, R_co]):
    """A cached method of an instance."""

    store: Any

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the value, from the cache or by loading it."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Delete the value of these arguments."""

    def expire(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Mark the value of these arguments as stale."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Load the value of these arguments anew."""

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of these arguments."""

    def skip(self, *names: str) -> Callable[P, R_co]:
        """Return the method for calls that leave these tiers alone."""

    def cache_info(self) -> CacheInfo:
        """Say how the function was answered."""


class Cached(Protocol[P, R_co]):
    """A cached function."""

    store: Any
    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the value, from the cache or by loading it."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> Cached[P, R_co]: ...
    @overload
    def __get__(
        self: Cached[Concatenate[S, Q], R_co], instance: S, owner: type | None = None, /
    ) -> BoundCached[Q, R_co]: ...
    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Delete the value of these arguments. For a coroutine function it begins now and may be awaited."""

    def expire(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Mark the value of these arguments as stale: it is served on, and the next call has it refreshed."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Load the value of these arguments anew, whatever the cache holds."""

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of these arguments."""

    def skip(self, *names: str) -> Callable[P, R_co]:
        """Return the function for calls that neither read nor write the tiers of these names."""

    def clear(self) -> Any:
        """Delete every entry whose key begins as this function's keys do."""

    def cache_info(self) -> CacheInfo:
        """Say how the function was answered."""


class Decorator(Protocol):
    """Puts a cache in front of a function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Cached[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Cached[P, R]: ...
