"""What it costs to get and to set a value in a memory cache itself, without a decorator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from . import loops
from .contender import UNDERCROFT, Scope, entrants
from .hit import CALLS, ROUNDS
from .measure import EMPTY, Round, race, sweep
from .report import Bar, Section, Table

TTL = 60
SIZE = 1024
KEYS: Sequence[str] = tuple(f"user:{4_200 + call % 100}" for call in range(CALLS))
DICT = "dict"
GET_LIMIT = 4
SET_LIMIT = 3


@dataclass(frozen=True)
class Mapping:
    """One library's memory cache: `open` returns how it gets and how it sets."""

    name: str
    package: str
    open: Callable[[], tuple[Callable[..., object], Callable[..., object]]]


def _dict() -> tuple[Callable[..., object], Callable[..., object]]:
    plain: dict[str, object] = {}
    return plain.get, plain.__setitem__


def _undercroft() -> tuple[Callable[..., object], Callable[..., object]]:
    cache: Any = import_module(UNDERCROFT).InMemCache(max_entries=SIZE)
    return cache.get, cache.set


def _cachebox() -> tuple[Callable[..., object], Callable[..., object]]:
    cache: Any = import_module("cachebox").TTLCache(SIZE, TTL)
    return cache.get, cache.insert


def _lru_dict() -> tuple[Callable[..., object], Callable[..., object]]:
    cache: Any = import_module("lru").LRU(SIZE)
    return cache.get, cache.__setitem__


def _cachetools() -> tuple[Callable[..., object], Callable[..., object]]:
    cache: Any = import_module("cachetools").TTLCache(SIZE, TTL)
    return cache.get, cache.__setitem__


OURS = Mapping("undercroft InMemCache", UNDERCROFT, _undercroft)
MAPPINGS = (
    OURS,
    Mapping(DICT, "", _dict),
    Mapping("cachebox TTLCache", "cachebox", _cachebox),
    Mapping("lru-dict (no ttl)", "lru", _lru_dict),
    Mapping("cachetools TTLCache", "cachetools", _cachetools),
)


def run(scope: Scope) -> Section:
    """Measures gets of what is there, and sets of what is there."""
    bars, tables = [], []
    for verb, limit in (("get", GET_LIMIT), ("set", SET_LIMIT)):
        rounds: dict[str, Round] = {EMPTY: sweep(loops.nothing, KEYS)}
        for mapping in entrants(scope, MAPPINGS):
            get, put = mapping.open()
            for key in KEYS[:100]:
                put(key, loops.REGION)
            rounds[mapping.name] = (
                sweep(loops.one_positional, get, KEYS) if verb == "get" else sweep(loops.pairs, put, KEYS)
            )
        costs = race(rounds, CALLS, ROUNDS)
        base = costs[DICT].thread
        rows = [(name, cost.thread, cost.thread / base) for name, cost in costs.items()]
        tables.append(Table(f"memory: {verb}, 100 keys in turn", ("cache", f"ns a {verb}", f"x {DICT}"), list(rows)))
        ours = next((ratio for name, _, ratio in rows if name == OURS.name), None)
        bars.append(Bar.at_most(f"InMemCache.{verb}", ours, limit, "x a dict's"))
    return Section(bars, tables)
