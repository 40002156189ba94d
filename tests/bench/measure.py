"""How time is taken: the same way for every contender.

Rounds of the contenders are interleaved (A B C A B C …), so that what else a shared machine does hits all alike.
One contender is the empty loop; its median is taken off everyone's. The collector of garbage rests during a round.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import TypeVar

EMPTY = "(empty loop)"

Loop = TypeVar("Loop", bound=Callable[..., object])


@dataclass(frozen=True)
class Cost:
    """Nanoseconds: the calling thread's CPU, the whole process's CPU (all threads), and the clock on the wall."""

    thread: float
    process: float
    wall: float


Round = Callable[[], Cost]


def race(rounds: Mapping[str, Round], calls: int, count: int) -> dict[str, Cost]:
    """Returns the median cost of one call for each contender, the empty loop's taken off.

    Args:
        rounds: What one round of each contender does; `EMPTY` must be among them.
        calls: How many calls one round makes.
        count: How many rounds count; one more goes first, to warm up.
    """
    taken: dict[str, list[Cost]] = {name: [] for name in rounds}
    for turn in range(count + 1):
        for name, play in rounds.items():
            cost = play()
            if turn > 0:
                taken[name].append(cost)
    medians = {name: median(costs) for name, costs in taken.items()}
    empty = medians.pop(EMPTY)
    return {name: per_call(cost, empty, calls) for name, cost in medians.items()}


def median(costs: Sequence[Cost]) -> Cost:
    """Takes the median of each clock by itself."""
    return Cost(
        statistics.median(cost.thread for cost in costs),
        statistics.median(cost.process for cost in costs),
        statistics.median(cost.wall for cost in costs),
    )


def per_call(total: Cost, empty: Cost, calls: int) -> Cost:
    """Takes the empty loop off a round and divides by its calls."""
    return Cost(
        (total.thread - empty.thread) / calls,
        (total.process - empty.process) / calls,
        (total.wall - empty.wall) / calls,
    )


def sweep(loop: Callable[..., object], *arguments: object) -> Round:
    """Returns the round that runs `loop(*arguments)` once."""
    return partial(timed, own_copy(loop), *arguments)


def timed(work: Callable[..., object], *arguments: object) -> Cost:
    """Runs `work` once and returns what it cost."""
    with Stopwatch() as watch:
        work(*arguments)
    return watch.cost


def own_copy(loop: Loop) -> Loop:
    """Returns `loop` with bytecode of its own.

    The interpreter specialises a call site to what it sees there. A site that all contenders share would see many
    types in turn and stay slow for some of them; in a real program a site calls one function.
    """
    code: CodeType = loop.__code__.replace()
    return FunctionType(code, loop.__globals__, loop.__name__)  # type: ignore[return-value]


class Stopwatch:
    """Measures the block of a `with`."""

    cost: Cost

    def __enter__(self) -> Stopwatch:  # noqa: PYI034  (typing.Self is newer than Python 3.10)
        """Collects garbage, stops the collector and starts the clocks."""
        gc.collect()
        gc.disable()
        self._wall, self._process, self._thread = time.perf_counter_ns(), time.process_time_ns(), time.thread_time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the clocks, innermost first, and lets the collector work again."""
        thread, process, wall = time.thread_time_ns(), time.process_time_ns(), time.perf_counter_ns()
        gc.enable()
        self.cost = Cost(thread - self._thread, process - self._process, wall - self._wall)
