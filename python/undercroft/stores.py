"""Stores: memory, a directory, two levels, many levels, and those that users write."""

from __future__ import annotations

import inspect
import math
import os
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from . import _native
from .errors import ConfigInvalid, Corrupt

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(slots=True)
class CacheEntry:
    """A value and its deadlines, in seconds since the epoch.

    Attributes:
        value: The value.
        fresh_until: Until when it is fresh; infinity for ever.
        created_at: When it was made.
        stale_until: Until when it may be served at all; `None` leaves that to the store.
    """

    value: Any
    fresh_until: float
    created_at: float
    stale_until: float | None = None

    def is_fresh(self, now: float | None = None) -> bool:
        """Say whether the value is fresh at `now`, or at this moment."""
        return (time.time() if now is None else now) < self.fresh_until

    def age(self, now: float | None = None) -> float:
        """Return for how many seconds the value has existed."""
        return (time.time() if now is None else now) - self.created_at


@runtime_checkable
class CacheStorage(Protocol):
    """What a store written by a user has to offer. `ttl` is in seconds; 0 means no end.

    A store that also has `get_entry(key)` and `set_entry(key, entry, ttl)` keeps the deadlines itself. A store that has
    `clear()` can be cleared. Its methods are called in threads where blocking harms nobody.
    """

    def get(self, key: str) -> Any | None:
        """Return the value, or `None`."""

    def set(self, key: str, value: Any, ttl: float = 0) -> None:
        """Keep a value for `ttl` seconds."""

    def delete(self, key: str) -> None:
        """Remove a value; removing a missing one is no error."""

    def exists(self, key: str) -> bool:
        """Say whether there is a value."""

    def set_if_not_exists(self, key: str, value: Any, ttl: float) -> bool:
        """Keep a value if there is none, and say whether it was kept."""


_PROTOCOL = ("get", "set", "delete", "exists", "set_if_not_exists")


def validate_cache_storage(cache: Any) -> bool:
    """Say whether an object has the methods of a store."""
    return all(callable(getattr(cache, name, None)) for name in _PROTOCOL)


class Store(_native.Cache):
    """A store: what every one of ours offers. Keys are text, ttls seconds; 0 or `None` as a ttl means no end.

    `get` and `exists` see what is fresh; `get_entry` also what is stale but still kept. `get`, `set`, `exists`,
    `delete`, `expire`, `clear`, `put_if_absent`, `get_many`, `set_many` and `delete_many` have a twin that ends in
    `_async` and returns an awaitable.
    """

    def get_entry(self, key: str) -> CacheEntry | None:
        """Return the entry under a key if it may be served at all, fresh or stale."""
        found = self.entry(key)
        return None if found is None else _entry(found)

    def set_entry(self, key: str, entry: CacheEntry, ttl: float | None = None) -> None:
        """Keep a value with its own deadlines, for `ttl` seconds at most where that is given."""
        stale_until = entry.fresh_until if entry.stale_until is None else entry.stale_until
        if ttl is not None and ttl > 0:
            stale_until = max(entry.fresh_until, time.time() + ttl) if entry.stale_until is None else stale_until
        self.set_life(key, entry.value, entry.created_at, entry.fresh_until, stale_until)

    def set_if_not_exists(self, key: str, value: Any, ttl: float | None = 0) -> bool:
        """Keep a value if the key is absent, and say whether it was kept. The furthest tier decides."""
        return self.put_if_absent(key, value, _storage_policy(ttl))

    async def get_many_async(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the fresh values among these keys."""
        values: dict[str, Any]
        values, bad = await super().get_many_async(keys)
        missing = object()
        for key in bad:
            # One by one: a copy that cannot be decoded is a miss there, and the next tier is asked.
            value = await self.get_async(key, missing)
            if value is not missing:
                values[key] = value
        return values

    async def get_async(self, key: str, default: Any = None) -> Any:
        """Return the fresh value under a key, or `default`."""
        found = await entry_async(self, key, ())
        return found.value if found is not None and found.is_fresh else default

    def cleanup_expired(self) -> int:
        """Remove what can never be served again, and say how many there were.

        Buckets are left as they are: a rule of the bucket's lifecycle costs no requests.
        """
        return self.sweep()

    def get_memory_usage(self) -> dict[str, Any]:
        """Return `bytes_used`, `entry_count` and `avg_entry_size` of what is held in memory, in bytes."""
        usage = self.near_usage()
        entries, size = (usage[0], usage[1]) if usage else (0, 0)
        return {"bytes_used": size, "entry_count": entries, "avg_entry_size": size // entries if entries else 0}

    def __len__(self) -> int:
        usage = self.near_usage(measure=False)
        if usage is None:
            message = f"`{type(self).__name__}` has no length"
            raise TypeError(message)
        return len(self.near_keys())

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: str) -> bool:
        return self.exists(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def entry_async(core: _native.Cache, key: str, skip: Sequence[str]) -> _native.Found | None:
    """Return the entry under a key; a copy that cannot be decoded is a miss there, and the next tier is asked."""
    distrust: list[str] = []
    while True:
        found = await core.entry_async(key, list(skip), distrust)
        if found is None:
            return None
        try:
            _decoded_and_kept = found.value
        except Corrupt as error:
            tier = found.tier or ""
            core.distrust(key, tier, str(error))
            distrust.append(tier)
        else:
            return found


def _entry(found: _native.Found) -> CacheEntry:
    fresh, created, stale = found.fresh_until, found.created_at, found.stale_until
    assert fresh is not None, "an entry has deadlines"
    assert created is not None, "an entry has deadlines"
    return CacheEntry(found.value, fresh, created, stale)


def _storage_policy(ttl: float | None) -> _native.Policy:
    return _native.Policy(None if ttl is None or ttl <= 0 else ttl)


class InMemCache(Store):
    """Memory in this process, bounded, with a cache's eviction rather than a list's: scans do not flush it.

    Args:
        max_entries: How many entries it holds.
        max_bytes: How many bytes keys and values may take, estimated; `None` for no such limit.
    """

    def __new__(cls, max_entries: int = 100_000, max_bytes: int | None = None) -> Self:  # noqa: D102
        return super().__new__(cls, [_native.Tier.memory(max_entries, max_bytes)])


class LocalFileCache(Store):
    """A directory: values as files, which any tool can read, and an index in SQLite. Processes may share it.

    Args:
        root_dir: The directory; made where it is missing.
        serializer: `"pickle"`, `"json"`, `"msgpack"`, `"raw"`, or an object with `dumps` and `loads`.
        compress: Whether values are compressed with gzip.
        compress_level: The gzip level, 1 to 9.
        dedupe_writes: Accepted, and without effect here: a local write costs less than finding out it is not needed.
        prefix: Stands before every key; nothing outside it is seen.
        max_bytes: How many bytes the values may take; the least recently used go first. `None` for no limit.
        durable: Whether a value is synced to the disk before `set` returns. Without it a power failure may tear a
            value, which is noticed and then a miss.
    """

    def __new__(  # noqa: D102
        cls,
        root_dir: str | os.PathLike[str],
        serializer: Any = "pickle",
        compress: bool = False,
        compress_level: int = 6,
        dedupe_writes: bool = False,  # noqa: ARG004
        *,
        prefix: str = "",
        max_bytes: int | None = 1 << 30,
        durable: bool = False,
    ) -> Self:
        if compress and compress_level not in range(1, 10):
            message = f"`compress_level` must be from 1 to 9, not {compress_level}"
            raise ConfigInvalid(message)
        tier = _native.Tier.local(
            root_dir,
            serializer="pickle" if serializer is None else serializer,
            compress=compress_level if compress else None,
            prefix=prefix,
            max_bytes=max_bytes,
            durable=durable,
        )
        return super().__new__(cls, [tier])


class ChainCache(Store):
    """Several stores, nearest first. Writes go to all, reads stop at the first that answers and fill those before it.

    Args:
        levels: Pairs of a store and the longest it keeps an entry in seconds; `None` means no limit.

    Example:
        >>> chain = ChainCache([(InMemCache(), 60), (InMemCache(), 3600)])
        >>> chain.set("answer", 42, ttl=7200)
        >>> chain.get("answer")
        42
    """

    def __new__(cls, levels: Sequence[tuple[Any, float | None]]) -> Self:  # noqa: D102
        tiers = [capped for store, ttl in levels for capped in _capped(store, ttl)]
        return super().__new__(cls, _named(tiers))

    @classmethod
    def build(cls, *stores: Any, ttls: Sequence[float | None] | None = None) -> ChainCache:
        """Make a chain of stores, with a limit for each in `ttls`.

        Raises:
            ConfigInvalid: There are not as many ttls as stores.
        """
        limits = [None] * len(stores) if ttls is None else list(ttls)
        if len(limits) != len(stores):
            message = f"{len(stores)} stores need {len(stores)} ttls, not {len(limits)}"
            raise ConfigInvalid(message)
        return cls(list(zip(stores, limits, strict=True)))


class HybridCache(Store):
    """Two levels: a near one that is fast, and a far one that is large or shared.

    Args:
        l1_cache: The near store; memory by default.
        l2_cache: The far store.
        l1_ttl: For how many seconds the near one keeps a copy.
        l2_ttl: For how many seconds the far one keeps an entry; `None` means as long as the entry lives.

    Attributes:
        l1: The near store.
        l2: The far store.
        l1_ttl: As given.
        l2_ttl: As given.
    """

    l1: Any
    l2: Any
    l1_ttl: float | None
    l2_ttl: float | None

    def __new__(  # noqa: D102
        cls,
        l1_cache: Any = None,
        l2_cache: Any = None,
        l1_ttl: float | None = 60,
        l2_ttl: float | None = None,
    ) -> Self:
        if l2_cache is None:
            message = "`l2_cache` is required"
            raise ConfigInvalid(message)
        near = InMemCache() if l1_cache is None else l1_cache
        made = super().__new__(cls, _named([*_capped(near, l1_ttl), *_capped(l2_cache, l2_ttl)]))
        made.l1, made.l2, made.l1_ttl, made.l2_ttl = near, l2_cache, l1_ttl, l2_ttl
        return made


def _capped(store: Any, ttl: float | None) -> list[_native.Tier]:
    limit = None if ttl is None or ttl <= 0 or math.isinf(ttl) else ttl
    return [tier.capped(limit) for tier in as_cache(store).tiers]


def _named(tiers: list[_native.Tier]) -> list[_native.Tier]:
    return [tier.named(f"l{at}") for at, tier in enumerate(tiers, 1)]


_hosts: weakref.WeakValueDictionary[int, _native.Cache] = weakref.WeakValueDictionary()


def as_cache(store: Any) -> _native.Cache:
    """Return the cache of a store. A store that a user wrote gets one of its own, the same each time.

    Raises:
        TypeError: The object is no store.
    """
    if isinstance(store, _native.Cache):
        return store
    core = getattr(store, "_core", None)
    if isinstance(core, _native.Cache):
        return core
    # The cache keeps the store alive, so its address is not reused while the cache is known here.
    known = _hosts.get(id(store))
    if known is None:
        waits = [name for name in _PROTOCOL if inspect.iscoroutinefunction(getattr(store, name, None))]
        if waits:
            message = (
                f"`{type(store).__name__}.{waits[0]}` is a coroutine function; the methods of a store are plain ones"
            )
            raise TypeError(message)
        known = _hosts[id(store)] = _native.Cache([_native.Tier.host(store)])
    return known
