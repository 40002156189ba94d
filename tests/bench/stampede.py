"""How often a cold key is loaded when many callers want it at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .contender import Scope, entrants
from .decorators import DECORATORS, OURS, WAITING, Decorator, Serves
from .report import Bar, Cell, Section, Table

THREADS = 50
TASKS = 200
ROUNDS = 7
LOAD_SECONDS = 0.05


@dataclass(frozen=True)
class Outcome:
    """What the callers of one key got: the loads they cost, and the answers that were not the loader's."""

    loads: int
    wrong: int


def run(scope: Scope) -> Section:
    """Lets threads, then tasks, stampede each decorator."""
    decorators = entrants(scope, (*DECORATORS, *WAITING))
    threads = {one.name: worst(by_threads(one, key) for key in range(ROUNDS)) for one in decorators}
    both = [one for one in decorators if one.serves is Serves.BOTH]
    tasks = {one.name: worst(asyncio.run(by_tasks(one, key)) for key in range(ROUNDS)) for one in both}
    bars = [
        bar(f"{THREADS} threads on one cold key", threads.get(OURS.name)),
        bar(f"{TASKS} asyncio tasks on one cold key", tasks.get(OURS.name)),
    ]
    rows = [(one.name, *cells(threads.get(one.name)), *cells(tasks.get(one.name))) for one in decorators]
    columns = ("decorator", f"loads, {THREADS} threads", "wrong answers", f"loads, {TASKS} tasks", "wrong answers")
    return Section(bars, [Table(f"stampede: the worst of {ROUNDS} rounds", columns, list(rows))])


def by_threads(decorator: Decorator, key: int) -> Outcome:
    """Releases all threads at once on one key."""
    loads: list[int] = []
    gate = threading.Barrier(THREADS)

    def load(user_id: int) -> tuple[str, int]:
        loads.append(user_id)
        time.sleep(LOAD_SECONDS)
        return ("user", user_id)

    cached = decorator.decorate("user:{}", load)

    def call(_: int) -> object:
        gate.wait()
        return answer(cached, key)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(call, range(THREADS)))
    return Outcome(len(loads), wrong(answers, key))


async def by_tasks(decorator: Decorator, key: int) -> Outcome:
    """Starts all tasks at once on one key."""
    loads: list[int] = []

    async def load(user_id: int) -> tuple[str, int]:
        loads.append(user_id)
        await asyncio.sleep(LOAD_SECONDS)
        return ("user", user_id)

    cached = decorator.decorate("user:{}", load)

    async def call() -> object:
        return await cached(key)

    answers = await asyncio.gather(*(call() for _ in range(TASKS)), return_exceptions=True)
    return Outcome(len(loads), wrong(answers, key))


def answer(cached: Callable[[int], object], key: int) -> object:
    """Returns what the call returned or raised."""
    try:
        return cached(key)
    except Exception as error:
        return error


def wrong(answers: Sequence[object], key: int) -> int:
    """Counts the answers that are not the loader's."""
    return sum(answer != ("user", key) for answer in answers)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Takes the most loads and the most wrong answers of any round."""
    seen = list(outcomes)
    return Outcome(max(one.loads for one in seen), max(one.wrong for one in seen))


def bar(what: str, ours: Outcome | None) -> Bar:
    """Holds when one load served everyone, rightly."""
    if ours is None:
        return Bar(what, None, "1 load", None, "load")
    return Bar(what, ours.loads, "1 load", ours == Outcome(1, 0), "load")


def cells(outcome: Outcome | None) -> tuple[Cell, Cell]:
    """Writes an outcome, or dashes where the decorator does not serve such functions."""
    return (outcome.loads, outcome.wrong) if outcome else (None, None)
