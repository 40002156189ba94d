"""The resident memory of Node under ten minutes of mixed load."""

from __future__ import annotations

import statistics

from . import s3_server
from .contender import Scope
from .node import ask, place
from .report import Bar, Section, Table

SECONDS = 600
WARM = 60
WINDOW = 30


def run(scope: Scope) -> Section:
    """Measures how far the memory moves away from where it was after the first minute."""
    if scope is not Scope.EVERYONE:
        return Section()
    with s3_server.serving() as url:
        answer = ask("memory.js", str(SECONDS), *place(url))
    samples = answer["samples"][WARM:]
    # Garbage comes and goes within seconds: the median of half a minute is what stays.
    windows = [statistics.median(samples[at : at + WINDOW]) for at in range(0, len(samples) - WINDOW + 1, WINDOW)]
    growth = max(windows) / windows[0] - 1
    rows: list[tuple[str | float | int | None, ...]] = [
        (f"{WARM + at * WINDOW} s to {WARM + (at + 1) * WINDOW} s", mebibytes) for at, mebibytes in enumerate(windows)
    ]
    table = Table(f"Resident memory of Node, {answer['calls']:,} calls", ("when", "MiB"), rows)
    return Section([Bar.at_most("node: growth of memory after the first minute", growth * 100, 5, "%")], [table])
