"""Loads: what happens where the near tier has no fresh value. The core decides; this runs the user's function."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _native
from ._background import BACKGROUND
from ._typing import Ttl
from .errors import Corrupt

if TYPE_CHECKING:
    import logging


def logger() -> logging.Logger:
    """Return the logger of the package."""
    import logging

    return logging.getLogger("undercroft")


_LINEAGE: contextvars.ContextVar[tuple[int, ...]] = contextvars.ContextVar("undercroft_lineage", default=())
"""The flights whose loaders the running code is part of: a loader that asks for its own key gets an error."""


class Counts:
    """How often a function was answered, and how."""

    __slots__ = ("errors", "hits", "loads", "misses", "refreshes", "stale")

    def __init__(self) -> None:
        self.hits = self.stale = self.misses = self.loads = self.errors = self.refreshes = 0


class Loads:
    """The loads of one function through one cache."""

    def __init__(
        self,
        function: Callable[..., Any],
        core: _native.Cache,
        ask: _native.Ask,
        *,
        ttl: Ttl = None,
        cache_if: Callable[[Any], bool] | None = None,
        old: str | None = None,
        watch: Callable[[str, str, float, BaseException | None], None] | None = None,
    ) -> None:
        self.function = function
        self.core = core
        self.ask = ask
        self.ttl = ttl if callable(ttl) else None
        self.cache_if = cache_if
        self.old = old
        self.watch = watch
        self.counts = Counts()

    # ---- sync

    def call(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask | None = None) -> Any:
        """Return the value under `key`: from the cache, from another caller's load, or by loading it."""
        ask = ask or self.ask
        BACKGROUND.forget_closed_loops()
        while True:
            found = self.core.begin(key, ask, _LINEAGE.get())
            if not found.has_value:
                self._missed(key)
                assert found.lease is not None, "a miss comes with a lease"
                return self._load(found.lease, args, kwargs, ask)
            try:
                value = found.value
            except Corrupt as error:
                ask = self._distrust(key, found, ask, error)
                continue
            self._served(key, found)
            if found.lease is not None:
                BACKGROUND.submit(self._refresh, found.lease, args, kwargs, ask)
            return value

    def refresh(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Load anew, whatever the cache holds; where a load is under way already, answer as a call does."""
        lease = self.core.claim(key)
        return self.call(key, args, kwargs) if lease is None else self._load(lease, args, kwargs, self.ask)

    def _load(self, lease: _native.Lease, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask) -> Any:
        patience = self.core.patience(lease, ask)
        if patience is None:
            return self._run(lease, args, kwargs, ask)
        import concurrent.futures

        future = BACKGROUND.start(self._run, lease, args, kwargs, ask)
        started = time.monotonic()
        while True:
            concurrent.futures.wait([future], timeout=patience)
            if future.done():
                return future.result()
            verdict = self.core.overdue(lease, ask, time.monotonic() - started)
            if isinstance(verdict, _native.Found):
                return verdict.value
            patience = verdict

    def _run(self, lease: _native.Lease, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask) -> Any:
        token = _LINEAGE.set((*_LINEAGE.get(), lease.flight))
        started = time.perf_counter()
        try:
            value = self.function(*args, **self._with_old(lease, kwargs))
            ask = self._ask_for(value, ask)
        except Exception as error:
            is_rescued, spare = self._failed(lease, error, started)
            if not is_rescued:
                raise
            return spare
        except BaseException:
            lease.drop()
            raise
        finally:
            _LINEAGE.reset(token)
        self._loaded(lease.key, started)
        self.core.fulfil(lease, value, ask)
        return value

    def _refresh(self, lease: _native.Lease, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask) -> None:
        key = lease.key
        # Nobody waits for a refresh, so it is part of no other load.
        _LINEAGE.set(())
        try:
            found = self.core.resume(lease, ask)
            if found.lease is not None:
                self.counts.refreshes += 1
                self._run(found.lease, args, kwargs, ask)
        except Exception:
            logger().warning("the refresh of `%s` failed", key, exc_info=True)

    # ---- async

    async def call_async(
        self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask | None = None
    ) -> Any:
        """Like `call`, for a coroutine function: nothing here blocks the event loop."""
        ask = ask or self.ask
        BACKGROUND.forget_closed_loops()
        while True:
            found = await self.core.begin_async(key, ask, _LINEAGE.get())
            if not found.has_value:
                self._missed(key)
                assert found.lease is not None, "a miss comes with a lease"
                return await self._load_async(found.lease, args, kwargs, ask)
            try:
                value = found.value
            except Corrupt as error:
                ask = self._distrust(key, found, ask, error)
                continue
            self._served(key, found)
            if found.lease is not None:
                BACKGROUND.task(self._refresh_async(found.lease, args, kwargs, ask))
            return value

    async def refresh_async(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Like `refresh`, for a coroutine function."""
        lease = self.core.claim(key)
        if lease is None:
            return await self.call_async(key, args, kwargs)
        return await self._load_async(lease, args, kwargs, self.ask)

    async def _load_async(
        self, lease: _native.Lease, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask
    ) -> Any:
        patience = self.core.patience(lease, ask)
        if patience is None:
            return await self._run_async(lease, args, kwargs, ask)
        import asyncio

        task = BACKGROUND.task(self._run_async(lease, args, kwargs, ask))
        started = time.monotonic()
        while True:
            try:
                await asyncio.wait({task}, timeout=patience)
            except asyncio.CancelledError:
                task.cancel()
                raise
            if task.done():
                return task.result()
            verdict = self.core.overdue(lease, ask, time.monotonic() - started)
            if isinstance(verdict, _native.Found):
                return verdict.value
            patience = verdict

    async def _run_async(
        self, lease: _native.Lease, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask
    ) -> Any:
        token = _LINEAGE.set((*_LINEAGE.get(), lease.flight))
        started = time.perf_counter()
        try:
            value = await self.function(*args, **self._with_old(lease, kwargs))
            ask = self._ask_for(value, ask)
        except Exception as error:
            is_rescued, spare = self._failed(lease, error, started)
            if not is_rescued:
                raise
            return spare
        except BaseException:
            lease.drop()
            raise
        finally:
            _LINEAGE.reset(token)
        self._loaded(lease.key, started)
        await self.core.fulfil_async(lease, value, ask)
        return value

    async def _refresh_async(
        self, lease: _native.Lease, args: tuple[Any, ...], kwargs: dict[str, Any], ask: _native.Ask
    ) -> None:
        key = lease.key
        _LINEAGE.set(())
        try:
            found = await self.core.resume_async(lease, ask)
            if found.lease is not None:
                self.counts.refreshes += 1
                await self._run_async(found.lease, args, kwargs, ask)
        except Exception:
            logger().warning("the refresh of `%s` failed", key, exc_info=True)

    # ---- both

    def _with_old(self, lease: _native.Lease, kwargs: dict[str, Any]) -> dict[str, Any]:
        if self.old is None:
            return kwargs
        spare = lease.spare
        try:
            value = None if spare is None else spare.value
        except Corrupt:
            value = None
        return {**kwargs, self.old: value}

    def _ask_for(self, value: Any, ask: _native.Ask) -> _native.Ask:
        """Return the question with the ttl of this value: 0 where it is not to be stored."""
        if self.cache_if is not None and not self.cache_if(value):
            return ask.with_ttl(0)
        return ask if self.ttl is None else ask.with_ttl(self.ttl(value))

    def _distrust(self, key: str, found: _native.Found, ask: _native.Ask, error: Corrupt) -> _native.Ask:
        if found.lease is not None:
            found.lease.drop()
        tier = found.tier or ""
        self.core.distrust(key, tier, str(error))
        return ask.distrusting(tier)

    def _served(self, key: str, found: _native.Found) -> None:
        if found.state == "stale":
            self.counts.stale += 1
        else:
            self.counts.hits += 1
        if self.watch is not None:
            self.watch("hit", key, 0.0, None)

    def _missed(self, key: str) -> None:
        self.counts.misses += 1
        if self.watch is not None:
            self.watch("miss", key, 0.0, None)

    def _loaded(self, key: str, started: float) -> None:
        self.counts.loads += 1
        if self.watch is not None:
            self.watch("load", key, time.perf_counter() - started, None)

    def _failed(self, lease: _native.Lease, error: Exception, started: float) -> tuple[bool, Any]:
        """End the lease, and say whether there is a value to serve instead, and which."""
        self.counts.errors += 1
        if self.watch is not None:
            self.watch("error", lease.key, time.perf_counter() - started, error)
        spare = self.core.fail(lease)
        try:
            return spare is not None, None if spare is None else spare.value
        except Corrupt:
            return False, None
