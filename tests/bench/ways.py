"""Hits of our own that are more than a fresh value under one decorator: they must not cost much more."""

from __future__ import annotations

import threading
import time
from importlib import import_module
from typing import Any

from . import loops
from .contender import UNDERCROFT, Scope
from .hit import CALLS, ONE_KEY, ROUNDS, config, user
from .measure import EMPTY, Round, race, sweep
from .report import Bar, Section, Table

PLAIN = "TTLCache, memory"
METRICS = "TTLCache, with InMemoryMetrics"
LIMIT = 1.3
METRICS_LIMIT = 1.25


def run(scope: Scope) -> Section:
    """Measures each way against the plain one."""
    if scope is Scope.PEERS:
        return Section()
    ours: Any = import_module(UNDERCROFT)
    refreshing = threading.Event()
    ways: dict[str, Round] = {
        EMPTY: sweep(loops.nothing, ONE_KEY),
        PLAIN: hit_of(ours.TTLCache.cached("user:{}", 60)(user)),
        METRICS: hit_of(ours.TTLCache.cached("user:{}", 60, metrics=ours.InMemoryMetrics())(user)),
        "stale hit (SWRCache)": hit_of(stale(ours, refreshing)),
        "near hit through a 2-level chain": hit_of(
            ours.TTLCache.cached(
                "user:{}", 60, cache=ours.ChainCache([(ours.InMemCache(), 60), (ours.InMemCache(), None)])
            )(user)
        ),
        "near hit of a hybrid": hit_of(
            ours.TTLCache.cached("user:{}", 60, cache=ours.HybridCache(l2_cache=ours.InMemCache()))(user)
        ),
        "BG reader": reader(ours),
    }
    try:
        costs = race(ways, CALLS, ROUNDS)
    finally:
        refreshing.set()
        ours.BGCache.shutdown()
    base = costs[PLAIN].thread
    rows = [(name, cost.thread, cost.thread / base) for name, cost in costs.items()]
    bars = [
        Bar.at_most(name, measured, METRICS_LIMIT if name == METRICS else LIMIT, "x the plain hit")
        for name, _, measured in rows
        if name != PLAIN
    ]
    return Section(bars, [Table("hit: other ways to the near tier", ("way", "ns a hit", f"x {PLAIN}"), list(rows))])


def hit_of(cached: Any) -> Round:
    """Returns the round that calls with one key, which is there."""
    cached(ONE_KEY[0])
    return sweep(loops.one_positional, cached, ONE_KEY)


def stale(ours: Any, refreshing: threading.Event) -> Any:
    """Returns a function whose value is stale while its refresh takes as long as the measurement."""
    loads: list[int] = []

    @ours.SWRCache.cached("user:{}", 0.001, 3_600)
    def load(user_id: int) -> tuple[str, int]:
        loads.append(user_id)
        if len(loads) > 1:
            refreshing.wait()
        return user(user_id)

    load(ONE_KEY[0])
    time.sleep(0.05)
    load(ONE_KEY[0])
    return load


def reader(ours: Any) -> Round:
    """Returns the round that calls the reader of a value that is loaded in the background."""
    ours.BGCache.register_writer("bench:config", 3_600)(config)
    return sweep(loops.without_arguments, ours.BGCache.get_reader("bench:config"), ONE_KEY)
