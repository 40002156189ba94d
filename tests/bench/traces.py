"""Five traces of keys, made from a fixed seed.

The shapes are tuned so that a plain least-recently-used cache of a tenth of the universe lands on the figures known
from an earlier trial: 60.3 / 73.5 / 30.0 / 24.1 / 73.0 per cent.
"""

# ruff: noqa: S311  (chance that repeats is what is wanted here)
from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, count, islice
from random import Random

SEED = 20_251
UNIVERSE = 100_000
CAPACITY = UNIVERSE // 10
LENGTH = 1_000_000

STRETCH = 14_000
LOOP = CAPACITY * 3 // 2
SHIFT_EVERY = LENGTH // 4
SHIFT_BY = CAPACITY

Trace = list[str]


def zipf_09() -> Trace:
    """Zipf-distributed popularity, exponent 0.9."""
    return [name(rank) for rank in ranks(0.9)]


def zipf_10() -> Trace:
    """Zipf-distributed popularity, exponent 1.0."""
    return [name(rank) for rank in ranks(1.0)]


def scan_polluted() -> Trace:
    """Zipf 1.0 in stretches, each followed by a scan of as many keys that never come again."""
    popular, fresh = map(name, ranks(1.0)), map(scanned, count())
    trace: Trace = []
    while len(trace) < LENGTH:
        trace.extend(islice(popular, STRETCH))
        trace.extend(islice(fresh, STRETCH))
    return trace[:LENGTH]


def loop() -> Trace:
    """Every other access, by chance, goes round a cycle half as large again as the cache; the rest is zipf 0.9."""
    chance, popular, cycle = Random(SEED + 1), map(name, ranks(0.9)), round_and_round()
    return [next(cycle) if chance.getrandbits(1) else next(popular) for _ in range(LENGTH)]


def shifting() -> Trace:
    """Zipf 1.0 whose ranks move on by the size of the cache after each quarter: what was hot is cold."""
    return [name((rank + at // SHIFT_EVERY * SHIFT_BY) % UNIVERSE) for at, rank in enumerate(ranks(1.0))]


TRACES: dict[str, Callable[[], Trace]] = {
    "zipf 0.9": zipf_09,
    "zipf 1.0": zipf_10,
    "scan": scan_polluted,
    "loop": loop,
    "shifting": shifting,
}


def ranks(exponent: float) -> list[int]:
    """Draws ranks, 0 the most popular, with probability proportional to 1 / (rank + 1) ** exponent."""
    weights = list(accumulate(1 / rank**exponent for rank in range(1, UNIVERSE + 1)))
    return Random(SEED).choices(range(UNIVERSE), cum_weights=weights, k=LENGTH)


def round_and_round() -> Iterator[str]:
    """Yields the keys of the cycle for ever."""
    return (f"cycle:{at % LOOP}" for at in count())


def name(rank: int) -> str:
    """Names a key of the universe."""
    return f"key:{rank}"


def scanned(at: int) -> str:
    """Names a key that is used once."""
    return f"scan:{at}"
