"""Every library's bounded memory cache behind one `get` (`None` on a miss) and one `set`.

Of cachebox's policies LFU does best on these traces, so it stands for the library; its LRU equals cachetools' own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from .contender import UNDERCROFT


class Memory(NamedTuple):
    """An open cache."""

    get: Callable[[str], Any]
    set: Callable[[str, str], Any]


@dataclass(frozen=True)
class MemoryKind:
    """One library's memory cache, or one policy of it; `open` takes the number of entries it may keep."""

    name: str
    package: str
    open: Callable[[int], Memory]


def _undercroft(entries: int) -> Memory:
    cache = import_module(UNDERCROFT).InMemCache(max_entries=entries)
    return Memory(cache.get, cache.set)


def _theine(entries: int) -> Memory:
    cache = import_module("theine").Cache(entries)
    return Memory(lambda key: cache.get(key)[0], cache.set)


def _warp_cache(entries: int) -> Memory:
    cache = import_module("warp_cache").cache(max_size=entries)(str)
    return Memory(cache.get, lambda key, value: cache.set(value, key))


def _moka_py(policy: str) -> Callable[[int], Memory]:
    def open_moka(entries: int) -> Memory:
        cache = import_module("moka_py").Moka(entries, policy=policy)
        return Memory(cache.get, cache.set)

    return open_moka


def _cachebox(entries: int) -> Memory:
    cache = import_module("cachebox").LFUCache(entries)
    return Memory(cache.get, cache.insert)


def _cachetools(entries: int) -> Memory:
    cache = import_module("cachetools").LRUCache(entries)
    return Memory(cache.get, cache.__setitem__)


OURS = MemoryKind("undercroft", UNDERCROFT, _undercroft)
MEMORIES = (
    OURS,
    MemoryKind("theine", "theine", _theine),
    MemoryKind("warp_cache", "warp_cache", _warp_cache),
    MemoryKind("moka_py tiny_lfu", "moka_py", _moka_py("tiny_lfu")),
    MemoryKind("moka_py lru", "moka_py", _moka_py("lru")),
    MemoryKind("cachebox LFUCache", "cachebox", _cachebox),
    MemoryKind("cachetools LRUCache", "cachetools", _cachetools),
)
