"""The first gets of a new process: opening a directory, then reading each key once."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .folders import FOLDERS, KEYS, FolderKind
from .place import TESTS
from .report import Table

PROCESSES = 7


@dataclass(frozen=True)
class Start:
    """Nanoseconds of one process: to open the cache, for its first get, and for each get on average."""

    open: float
    first: float
    get: float


def race(homes: Mapping[FolderKind, Path]) -> dict[str, Start]:
    """Starts the processes in turn and returns each cache's medians; one process more goes first, to warm up."""
    starts: dict[str, list[Start]] = {kind.name: [] for kind in homes}
    for turn in range(PROCESSES + 1):
        for kind, home in homes.items():
            start = started(kind, home)
            if turn > 0:
                starts[kind.name].append(start)
    return {name: median(found) for name, found in starts.items()}


def started(kind: FolderKind, home: Path) -> Start:
    """Runs one new process over `home`."""
    command = [sys.executable, "-m", f"{__package__}.first_read", str(FOLDERS.index(kind)), str(home)]
    done = subprocess.run(command, cwd=TESTS, stdout=subprocess.PIPE, check=True)  # noqa: S603  (its own words)
    return Start(**json.loads(done.stdout))


def median(starts: list[Start]) -> Start:
    """Takes the median of each figure by itself."""
    return Start(
        statistics.median(start.open for start in starts),
        statistics.median(start.first for start in starts),
        statistics.median(start.get for start in starts),
    )


def table(starts: dict[str, Start]) -> Table:
    """Lays out the figures in microseconds."""
    rows = [(name, start.open / 1e3, start.first / 1e3, start.get / 1e3) for name, start in starts.items()]
    columns = ("cache", "µs to open", "µs, first get", "µs a get, all keys")
    return Table(
        f"disk: a new process reads {len(KEYS)} keys once (wall clock, import not counted)", columns, list(rows)
    )
