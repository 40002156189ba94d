"""Hit ratio at a tenth of the universe, over the five traces.

An average alone could hide a bad trace, a trace alone a bad average; so there are two bars. What a cache still holds
after the first trace is counted too: a cache that keeps more than its share would win unfairly.
"""

from __future__ import annotations

from statistics import mean

from . import memories
from .contender import Scope, entrants
from .memories import MEMORIES, Memory
from .report import Bar, Cell, Section, Table
from .traces import CAPACITY, LENGTH, TRACES, UNIVERSE, Trace

AVERAGE_SLACK = 0.5
TRACE_SLACK = 4.0
FIRST = next(iter(TRACES))


def run(scope: Scope) -> Section:
    """Replays every trace through every cache."""
    kinds = entrants(scope, MEMORIES)
    ratios: dict[str, dict[str, float]] = {kind.name: {} for kind in kinds}
    held: dict[str, int] = {}
    for title, make in TRACES.items():
        trace = make()
        for kind in kinds:
            memory = kind.open(CAPACITY)
            ratios[kind.name][title] = 100 * (1 - misses(memory, trace) / len(trace))
            if title == FIRST:
                held[kind.name] = sum(memory.get(key) is not None for key in set(trace))
    return Section(bars(ratios), [table(ratios, held)])


def misses(memory: Memory, trace: Trace) -> int:
    """Replays a trace, filling on each miss, and counts the misses."""
    get, put = memory
    missed = 0
    for key in trace:
        if get(key) is None:
            missed += 1
            put(key, key)
    return missed


def bars(ratios: dict[str, dict[str, float]]) -> list[Bar]:
    """Compares with the best peer: on average, and on the trace where we are furthest behind."""
    ours = ratios.get(memories.OURS.name)
    peers = [found for name, found in ratios.items() if name != memories.OURS.name]
    average, worst = "hit ratio, average against the best peer", "hit ratio, worst trace against its best peer"
    lead = lowest = None
    if ours and peers:
        lead = mean(ours.values()) - max(mean(peer.values()) for peer in peers)
        lowest, trace = min((ours[trace] - max(peer[trace] for peer in peers), trace) for trace in TRACES)
        worst += f" ({trace})"
    return [Bar.at_least(average, lead, -AVERAGE_SLACK, "points"), Bar.at_least(worst, lowest, -TRACE_SLACK, "points")]


def table(ratios: dict[str, dict[str, float]], held: dict[str, int]) -> Table:
    """Lays the ratios out, one column a trace."""
    rows: list[tuple[Cell, ...]] = [
        (name, *found.values(), mean(found.values()), held[name]) for name, found in ratios.items()
    ]
    title = f"hit ratio in per cent: {LENGTH:,} accesses, {UNIVERSE:,} popular keys, {CAPACITY:,} entries"
    return Table(title, ("cache", *TRACES, "average", f"held after {FIRST}"), rows)
