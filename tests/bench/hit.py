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
ONE_KEY: Sequence[int] = (4_217,) * CALLS
ONE_TEXT: Sequence[str] = ("4217-b",) * CALLS
THOUSAND_KEYS: Sequence[int] = tuple(4_200 + call % 1_000 for call in range(CALLS))
PLAIN_ASYNC = "plain async function"
OF_PEERS = 0.6
OF_PLAIN_ASYNC = 1.8


def config() -> tuple[str, int]:
    """Loads what has no argument."""
    return ("config", 0)


def user(user_id: int) -> tuple[str, int]:
    """Loads by one argument."""
    return ("user", user_id)


def user_in(user_id: int, region: str = loops.REGION) -> tuple[str, int]:
    """Loads by two arguments."""
    return (region, user_id)


async def user_later(user_id: int) -> tuple[str, int]:
    """Loads by one argument, asynchronously."""
    return ("user", user_id)


def as_method(decorate: Callable[[Any], Any]) -> Any:
    """Returns an object whose method `load` is decorated."""

    def load(self: object, user_id: int) -> tuple[str, int]:  # noqa: ARG001  (methods have it)
        return ("user", user_id)

    load.__qualname__ = "Users.load"
    return type("Users", (), {"load": decorate(load)})()


@dataclass(frozen=True)
class Shape:
    """One way of calling a decorated function; `limit` is what it may cost of `functools.lru_cache`'s."""

    title: str
    template: str
    function: Callable[..., Any]
    loop: Callable[..., None]
    arguments: Sequence[object] = ONE_KEY
    limit: float | None = None


SHAPES = (
    Shape("int argument", "user:{}", user, loops.one_positional, limit=1.2),
    Shape("str argument", "user:{}", user, loops.one_positional, ONE_TEXT, limit=1.2),
    Shape("int argument, 1,000 keys in turn", "user:{}", user, loops.one_positional, THOUSAND_KEYS),
    Shape("static key", "config", config, loops.without_arguments, limit=1.0),
    Shape("two positional arguments", "user:{}:{}", user_in, loops.two_positional, limit=1.2),
    Shape("two keywords, named template", "user:{user_id}:{region}", user_in, loops.two_keywords, limit=0.6),
    Shape("one argument, a default filled in", "user:{user_id}:{region}", user_in, loops.one_positional),
    Shape("method, int argument", "user:{}", as_method, loops.one_to_method),
)
AGAINST_PEERS = ("int argument", "str argument")


def run(scope: Scope) -> Section:
    """Measures all shapes, and awaited hits."""
    decorators = entrants(scope, DECORATORS)
    bars, tables = [], []
    for shape in SHAPES:
        costs = race_plain(shape, decorators)
        tables.append(table(f"{shape.title}, {shape.template!r}", costs, REFERENCE.name))
        bars += bars_of(shape, costs)
    later = race_async(decorators)
    tables.append(table("async hit, await included, 'user:{}'", later, PLAIN_ASYNC))
    bars.append(Bar.at_most("async hit, awaited", ratio(later, PLAIN_ASYNC), OF_PLAIN_ASYNC, "x plain async function"))
    return Section(bars, tables)


def bars_of(shape: Shape, costs: dict[str, Cost]) -> list[Bar]:
    """Compares with the reference and, where there is a bar for it, with the fastest peer."""
    bars = []
    if shape.limit is not None:
        bars.append(Bar.at_most(f"hit, {shape.title}", ratio(costs, REFERENCE.name), shape.limit, "x lru_cache"))
    if shape.title in AGAINST_PEERS:
        peers = {name: cost.thread for name, cost in costs.items() if name not in (OURS.name, REFERENCE.name)}
        best = min(peers, key=peers.__getitem__, default=None)
        measured = None if best is None else ratio(costs, best)
        bars.append(Bar.at_most(f"hit, {shape.title}, fastest peer ({best})", measured, OF_PEERS, "x"))
    return bars


def ratio(costs: dict[str, Cost], reference: str) -> float | None:
    """Returns our cost in terms of another's."""
    ours = costs.get(OURS.name)
    return None if ours is None else ours.thread / costs[reference].thread


def race_plain(shape: Shape, decorators: Sequence[Decorator]) -> dict[str, Cost]:
    """Measures one shape with plain functions."""
    rounds: dict[str, Round] = {EMPTY: sweep(loops.nothing, shape.arguments)}
    for one in decorators:
        if shape.function is as_method:
            if not one.binds:
                continue
            target = as_method(lambda function, one=one: one.decorate(shape.template, function))
        else:
            target = one.decorate(shape.template, shape.function)
        rounds[one.name] = sweep(shape.loop, target, shape.arguments)
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
