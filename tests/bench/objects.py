"""Object storage over a local S3 server: many small objects, a large one, a single get, an import and a put's memory.

Every measurement is a new process; CPU is that of the whole client process, all threads. Client and server share the
machine, so where there are few cores a client that needs less CPU also leaves the server more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from . import imports, swell
from . import object_races as races
from .contender import Scope, entrants
from .object_clients import THREADS
from .object_races import Pace, Racer, Work, race
from .report import Bar, Cell, Section, Table
from .s3_server import serving

MIB = 1 << 20
MANY = Work("get-many", keys=1_000, size=4_096, concurrency=THREADS)
SINGLE = Work("get", keys=1, size=4_096, times=500)
LARGE = Work("get", keys=1, size=64 * MIB)

MANY_ROUNDS = 5
SINGLE_ROUNDS = 7
LARGE_ROUNDS = 5

MANY_LIMITS = ((races.BOTO3, 5.0, 1 / 5), (races.OBSTORE, 1.0, 1.0), (races.OBJECT_STORE, 0.9, 1.2))
"""Against whom, at least how many times its operations a second, and at most how many times its CPU."""
SINGLE_LIMIT = 150
LARGE_LIMITS = ((races.BOTO3_TRANSFER, 1.5), (races.OBSTORE_ALONE, 1.0))


def run(scope: Scope) -> Section:
    """Runs all parts, those that need it against one server."""
    with serving() as url:
        parts = [many(scope, url), single(scope, url), large(scope, url), swell.run(scope, url)]
    parts.append(imports.run(scope))
    return Section([bar for part in parts for bar in part.bars], [table for part in parts for table in part.tables])


def many(scope: Scope, url: str) -> Section:
    """Races gets, then puts, of many small objects."""
    racers = entrants(scope, (races.OURS, races.BOTO3, races.OBSTORE, races.OBJECT_STORE, races.MINIO))
    gets = race_gets(racers, MANY, MANY_ROUNDS, url, "many/")
    puts = race(racers, replace(MANY, verb="put-many"), MANY_ROUNDS, url, "many-put/")
    bars = [*bars_of_many("get_many", gets), *bars_of_many("put_many", puts)]
    return Section(bars, [table_of_many("get", gets), table_of_many("put", puts)])


def bars_of_many(verb: str, paces: Mapping[str, Pace]) -> list[Bar]:
    """Compares operations a second and client CPU with each peer's."""
    bars = []
    ours = paces.get(races.OURS.name)
    for peer, faster, cheaper in MANY_LIMITS:
        theirs = paces[peer.name]
        what = f"{verb}, {MANY.keys:,} keys of 4 KiB, {THREADS} at once, against {peer.name}"
        speed, cpu = (theirs.wall / ours.wall, ours.cpu / theirs.cpu) if ours else (None, None)
        bars += [Bar.at_least(what, speed, faster, "x its ops/s"), Bar.at_most(what, cpu, cheaper, "x its client CPU")]
    return bars


def table_of_many(verb: str, paces: Mapping[str, Pace]) -> Table:
    """Lays out operations a second, and microseconds of CPU for each."""
    rows: list[tuple[Cell, ...]] = [(name, 1 / pace.wall, pace.cpu * 1e6) for name, pace in paces.items()]
    title = f"objects: {verb} of 4 KiB, {MANY.keys:,} keys, {THREADS} at once"
    return Table(title, ("client", "ops/s", "client CPU µs an op"), rows)


def single(scope: Scope, url: str) -> Section:
    """Races gets of one small object, one after the other."""
    ours, floor = races.OURS, races.BARE
    racers = entrants(scope, (ours, floor, races.HTTP_CLIENT, races.OBSTORE_ALONE, races.BOTO3_ALONE))
    paces = race_gets(racers, SINGLE, SINGLE_ROUNDS, url, "single/")
    above = {name: (pace.wall - paces[floor.name].wall) * 1e6 for name, pace in paces.items()}
    bar = Bar.at_most(f"single 4 KiB get, above the same by a {floor.name}", above.get(ours.name), SINGLE_LIMIT, "µs")
    rows: list[tuple[Cell, ...]] = [
        (name, pace.wall * 1e6, above[name], pace.cpu * 1e6) for name, pace in paces.items()
    ]
    columns = ("client", "µs a get", "above the bare client", "client CPU µs")
    return Section([bar], [Table("objects: the same 4 KiB object, one get after the other", columns, rows)])


def large(scope: Scope, url: str) -> Section:
    """Races gets, then puts, of one large object."""
    racers = entrants(scope, (races.OURS, races.BOTO3_TRANSFER, races.OBSTORE_ALONE, races.OBJECT_STORE))
    gets = race_gets(racers, LARGE, LARGE_ROUNDS, url, "large/")
    puts = race(racers, replace(LARGE, verb="put"), LARGE_ROUNDS, url, "large-put/")
    bars = [*bars_of_large("get", gets), *bars_of_large("put", puts)]
    return Section(bars, [table_of_large("get", gets), table_of_large("put", puts)])


def bars_of_large(verb: str, paces: Mapping[str, Pace]) -> list[Bar]:
    """Compares bytes a second with each peer's."""
    ours = paces.get(races.OURS.name)
    speeds = [paces[peer.name].wall / ours.wall if ours else None for peer, _ in LARGE_LIMITS]
    return [
        Bar.at_least(f"one 64 MiB {verb}, against {peer.name}", speed, limit, "x its MB/s")
        for (peer, limit), speed in zip(LARGE_LIMITS, speeds, strict=True)
    ]


def table_of_large(verb: str, paces: Mapping[str, Pace]) -> Table:
    """Lays out megabytes a second, and milliseconds of CPU."""
    rows: list[tuple[Cell, ...]] = [
        (name, LARGE.size / 1e6 / pace.wall, pace.cpu * 1e3) for name, pace in paces.items()
    ]
    return Table(f"objects: {verb} of one 64 MiB object", ("client", "MB/s", "client CPU ms"), rows)


def race_gets(racers: Sequence[Racer], work: Work, rounds: int, url: str, prefix: str) -> dict[str, Pace]:
    """Lets Undercroft, or boto3 where it does not take part, put what all contenders then get."""
    filler = races.OURS if races.OURS in racers else races.BOTO3_ALONE
    races.run(filler, replace(work, verb=work.verb.replace("get", "put"), times=1), url, prefix)
    return race(racers, work, rounds, url, prefix)
