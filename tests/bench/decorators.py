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


def _undercroft(template: str, function: Function) -> Function:
    return import_module(UNDERCROFT).TTLCache.cached(template, TTL)(function)  # type: ignore[no-any-return]


def _lru_cache(_: str, function: Function) -> Function:
    return functools.lru_cache(maxsize=SIZE)(function)


def _advanced_caching(template: str, function: Function) -> Function:
    return import_module("advanced_caching").cache(TTL, key=template)(function)  # type: ignore[no-any-return]


def _cachebox(_: str, function: Function) -> Function:
    cachebox = import_module("cachebox")
    return cachebox.cached(cachebox.TTLCache(SIZE, TTL))(function)  # type: ignore[no-any-return]


def _warp_cache(_: str, function: Function) -> Function:
    return import_module("warp_cache").cache(max_size=SIZE, ttl=TTL)(function)  # type: ignore[no-any-return]


def _moka_py(_: str, function: Function) -> Function:
    return import_module("moka_py").cached(maxsize=SIZE, ttl=TTL)(function)  # type: ignore[no-any-return]


def _moka_py_waiting(_: str, function: Function) -> Function:
    return import_module("moka_py").cached(maxsize=SIZE, ttl=TTL, wait_concurrent=True)(function)  # type: ignore[no-any-return]


def _cachetools(_: str, function: Function) -> Function:
    cachetools = import_module("cachetools")
    return cachetools.cached(cachetools.TTLCache(SIZE, TTL), lock=threading.Lock())(function)  # type: ignore[no-any-return]


def _cachetools_condition(_: str, function: Function) -> Function:
    cachetools = import_module("cachetools")
    return cachetools.cached(cachetools.TTLCache(SIZE, TTL), condition=threading.Condition())(function)  # type: ignore[no-any-return]


def _theine(_: str, function: Function) -> Function:
    return import_module("theine").Memoize(SIZE, timedelta(seconds=TTL))(function)  # type: ignore[no-any-return]


OURS = Decorator("undercroft", UNDERCROFT, _undercroft)
REFERENCE = Decorator("functools.lru_cache", "", _lru_cache, Serves.PLAIN)
DECORATORS = (
    OURS,
    REFERENCE,
    Decorator("advanced_caching", "advanced_caching", _advanced_caching),
    Decorator("cachebox TTLCache", "cachebox", _cachebox),
    Decorator("warp_cache", "warp_cache", _warp_cache),
    Decorator("moka_py", "moka_py", _moka_py),
    Decorator("cachetools TTLCache, lock", "cachetools", _cachetools, Serves.PLAIN),
    Decorator("theine", "theine", _theine),
)
WAITING = (
    Decorator("moka_py, wait_concurrent", "moka_py", _moka_py_waiting),
    Decorator("cachetools TTLCache, condition", "cachetools", _cachetools_condition, Serves.PLAIN),
)
