"""Gets and puts of 4 KiB on disk, hot, and the first gets of a new process.

The bar is judged on the wall clock, since a disk cache waits; CPU of the calling thread and of the whole process (which
includes a cache's own threads) stand beside it. "Cold" is cold for the process: the system still has the files' pages.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import cold
from .contender import Scope, entrants
from .folders import FOLDERS, KEYS, OURS, RIVAL, TTL, VALUE, Folder, FolderKind
from .measure import EMPTY, Cost, Round, race, sweep
from .place import DISK
from .report import Bar, Section, Table

LIMIT = 3.0
ROUNDS = 15


def run(scope: Scope) -> Section:
    """Fills each cache, races the gets, then the puts, then the gets of new processes."""
    with tempfile.TemporaryDirectory(prefix="bench-disk-", dir=DISK, ignore_cleanup_errors=True) as root:
        homes = {kind: Path(root) / str(at) for at, kind in enumerate(entrants(scope, FOLDERS))}
        caches = {kind: kind.open(home) for kind, home in homes.items()}
        for kind, cache in caches.items():
            fill_and_check(kind, cache)
        gets = race_with(caches, lambda cache: (get_all, cache.get))
        puts = race_with(caches, lambda cache: (put_all, cache.set))
        first = cold.race(homes)
    return Section([bar("get", gets), bar("put", puts)], [table("get", gets), table("put", puts), cold.table(first)])


def fill_and_check(kind: FolderKind, cache: Folder) -> None:
    """Puts every key and reads it back, so that what follows is hot and right."""
    put_all(cache.set, KEYS)
    if any(cache.get(key) != VALUE for key in KEYS):
        raise AssertionError(f"{kind.name} does not return what was put")


def race_with(
    caches: dict[FolderKind, Folder], work: Callable[[Folder], tuple[Callable[..., None], object]]
) -> dict[str, Cost]:
    """Races one loop over all caches: first the two of the bar by themselves, then the others."""
    costs: dict[str, Cost] = {}
    for heat in sorted({kind.heat for kind in caches}):
        rounds: dict[str, Round] = {EMPTY: sweep(no_call, KEYS)}
        for kind, cache in caches.items():
            if kind.heat == heat:
                loop, method = work(cache)
                rounds[kind.name] = sweep(loop, method, KEYS)
        costs |= race(rounds, len(KEYS), ROUNDS)
    return costs


def no_call(keys: Sequence[str]) -> None:
    """Goes round without a call: what the other loops cost by themselves."""
    for _ in keys:
        pass


def get_all(get: Callable[[str], object], keys: Sequence[str]) -> None:
    """Reads every key once."""
    for key in keys:
        get(key)


def put_all(put: Callable[[str, bytes, float], object], keys: Sequence[str]) -> None:
    """Writes every key once."""
    for key in keys:
        put(key, VALUE, TTL)


def bar(verb: str, costs: dict[str, Cost]) -> Bar:
    """Compares operations a second, by the wall clock."""
    ours = costs.get(OURS.name)
    measured = costs[RIVAL.name].wall / ours.wall if ours else None
    return Bar.at_least(f"disk tier, 4 KiB {verb}", measured, LIMIT, "x diskcache's ops/s")


def table(verb: str, costs: dict[str, Cost]) -> Table:
    """Lays out microseconds an operation."""
    rows = [
        (name, cost.wall / 1e3, 1e9 / cost.wall, cost.thread / 1e3, cost.process / 1e3) for name, cost in costs.items()
    ]
    columns = ("cache", f"µs a {verb}", "ops/s", "thread CPU µs", "process CPU µs")
    return Table(f"disk: {verb} of 4 KiB, {len(KEYS)} keys in turn, hot", columns, list(rows))
