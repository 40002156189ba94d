"""Every library's decorator behind one call: a key template, a function, and the cached function back.

All keep values for a minute, except `functools.lru_cache`, which knows no ttl. Libraries without templates build a
key of all arguments. Modules are imported on use, so that a bench runs with the libraries that are there.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from importlib import import_module
from typing import Any

from .contender import UNDERCROFT

TTL = 60
SIZE = 1024

Function = Callable[..., Any]


class Serves(Enum):
    """The functions a decorator works on."""

    BOTH = "plain and async functions"
    PLAIN = "plain functions"


@dataclass(frozen=True)
class Decorator:
    """One library's decorator, or one way of setting it up."""

    name: str
    package: str
    decorate: Callable[[str, Function], Function]
    serves: Serves = Serves.BOTH
    binds: bool = True
    """Whether what it returns becomes a method in a class."""


OURS = Decorator(
    "undercroft",
    UNDERCROFT,
    lambda template, function: import_module(UNDERCROFT).TTLCache.cached(template, TTL)(function),
)
REFERENCE = Decorator(
    "functools.lru_cache",
    "",
    lambda _, function: functools.lru_cache(maxsize=SIZE)(function),
    Serves.PLAIN,
)
ADVANCED_CACHING = Decorator(
    "advanced_caching",
    "advanced_caching",
    lambda template, function: import_module("advanced_caching").cache(TTL, key=template)(function),
)
CACHEBOX = Decorator(
    "cachebox TTLCache",
    "cachebox",
    lambda _, function: import_module("cachebox").cached(import_module("cachebox").TTLCache(SIZE, TTL))(function),
)
WARP_CACHE = Decorator(
    "warp_cache",
    "warp_cache",
    lambda _, function: import_module("warp_cache").cache(max_size=SIZE, ttl=TTL)(function),
    binds=False,
)
THEINE = Decorator(
    "theine",
    "theine",
    lambda _, function: import_module("theine").Memoize(SIZE, timedelta(seconds=TTL))(function),
)


def moka_py(name: str, **options: object) -> Decorator:
    """Returns moka_py's decorator, set up with `options`."""
    return Decorator(
        name,
        "moka_py",
        lambda _, function: import_module("moka_py").cached(maxsize=SIZE, ttl=TTL, **options)(function),
    )


def cachetools(name: str, guard: str, make: Callable[[], object]) -> Decorator:
    """Returns cachetools' decorator, with a fresh lock or condition for each function."""

    def decorate(_: str, function: Function) -> Function:
        library: Any = import_module("cachetools")
        cached: Function = library.cached(library.TTLCache(SIZE, TTL), **{guard: make()})(function)
        return cached

    return Decorator(name, "cachetools", decorate, Serves.PLAIN)


DECORATORS = (
    OURS,
    REFERENCE,
    ADVANCED_CACHING,
    CACHEBOX,
    WARP_CACHE,
    moka_py("moka_py"),
    cachetools("cachetools TTLCache, lock", "lock", threading.Lock),
    THEINE,
)
WAITING = (
    moka_py("moka_py, wait_concurrent", wait_concurrent=True),
    cachetools("cachetools TTLCache, condition", "condition", threading.Condition),
)
