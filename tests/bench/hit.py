"""What a hit of a decorated function costs, in thread CPU time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import loops
from .contender import Scope, entrants
from .decorators import DECORATORS, OURS, REFERENCE, Decorator, Serves
from .measure import EMPTY, Cost, Round, Stopwatch, own_copy, race, sweep
from .report import Bar, Section, Table

CALLS = 20_000
ROUNDS = 25
LIMIT = 8
ONE_KEY: Sequence[int] = (4_217,) * CALLS
HUNDRED_KEYS: Sequence[int] = tuple(4_200 + call % 100 for call in range(CALLS))
PLAIN_ASYNC = "plain async function"


def config() -> tuple[str, int]:
    """Loads what has no argument."""
    return ("config", 0)


def user(user_id: int) -> tuple[str, int]:
    """Loads by one argument."""
    return ("user", user_id)


def user_in(user_id: int, region: str) -> tuple[str, int]:
    """Loads by two arguments."""
    return (region, user_id)


async def user_later(user_id: int) -> tuple[str, int]:
    """Loads by one argument, asynchronously."""
    return ("user", user_id)


@dataclass(frozen=True)
class Shape:
    """One way of calling a decorated function."""

    title: str
    template: str
    function: Callable[..., Any]
    loop: Callable[..., None]
    users: Sequence[int] = ONE_KEY


THE_BAR = Shape('one positional argument, "user:{}"', "user:{}", user, loops.one_positional)
SHAPES = (
    THE_BAR,
    Shape("the same, 100 keys in turn", "user:{}", user, loops.one_positional, HUNDRED_KEYS),
    Shape('static key, "config"', "config", config, loops.without_arguments),
    Shape('two positional arguments, "user:{}:{}"', "user:{}:{}", user_in, loops.two_positional),
    Shape('keywords, "user:{user_id}:{region}"', "user:{user_id}:{region}", user_in, loops.two_keywords),
)


def run(scope: Scope) -> Section:
    """Measures all shapes; the first one has the bar."""
    decorators = entrants(scope, DECORATORS)
    costs = {shape.title: race_plain(shape, decorators) for shape in SHAPES}
    tables = [table(title, found, REFERENCE.name) for title, found in costs.items()]
    tables.append(table('async hit, await included, "user:{}"', race_async(decorators), PLAIN_ASYNC))
    ours, reference = costs[THE_BAR.title].get(OURS.name), costs[THE_BAR.title][REFERENCE.name]
    measured = ours.thread / reference.thread if ours else None
    return Section([Bar.at_most("decorated sync hit, int argument", measured, LIMIT, "x lru_cache")], tables)


def race_plain(shape: Shape, decorators: Sequence[Decorator]) -> dict[str, Cost]:
    """Measures one shape with plain functions."""
    rounds: dict[str, Round] = {EMPTY: sweep(loops.nothing, shape.users)}
    for one in decorators:
        rounds[one.name] = sweep(shape.loop, one.decorate(shape.template, shape.function), shape.users)
    return race(rounds, CALLS, ROUNDS)


def race_async(decorators: Sequence[Decorator]) -> dict[str, Cost]:
    """Measures awaited hits, all in one event loop."""
    event_loop = asyncio.new_event_loop()
    rounds: dict[str, Round] = {
        EMPTY: sweep_async(event_loop, loops.nothing_awaited, ONE_KEY),
        PLAIN_ASYNC: sweep_async(event_loop, loops.awaited, user_later, ONE_KEY),
    }
    for one in (one for one in decorators if one.serves is Serves.BOTH):
        cached = one.decorate("user:{}", user_later)
        rounds[one.name] = sweep_async(event_loop, loops.awaited, cached, ONE_KEY)
    try:
        return race(rounds, CALLS, ROUNDS)
    finally:
        event_loop.close()


def sweep_async(event_loop: asyncio.AbstractEventLoop, loop: Callable[..., Any], *arguments: object) -> Round:
    """Returns the round that awaits `loop(*arguments)`; the clock runs inside the event loop only."""
    mine = own_copy(loop)

    async def measured() -> Cost:
        with Stopwatch() as watch:
            await mine(*arguments)
        return watch.cost

    return lambda: event_loop.run_until_complete(measured())


def table(title: str, costs: dict[str, Cost], reference: str) -> Table:
    """Lays the costs out against the reference."""
    base = costs[reference].thread
    rows = [(name, cost.thread, cost.thread / base) for name, cost in costs.items()]
    return Table(f"hit: {title}", ("decorator", "ns a hit", f"x {reference}"), list(rows))
