"""A new process that opens one cache of `folders.FOLDERS` and reads each key once: `first_read INDEX DIRECTORY`."""

# ruff: noqa: T201  (printing is how it answers)
from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

from .folders import FOLDERS, KEYS, VALUE


def main(index: str, home: str) -> None:
    """Prints what opening, the first get and the average get took, in nanoseconds."""
    kind = FOLDERS[int(index)]
    if kind.package:
        import_module(kind.package)
    begun = time.perf_counter_ns()
    cache = kind.open(Path(home))
    opened = time.perf_counter_ns()
    values = [cache.get(KEYS[0])]
    first = time.perf_counter_ns()
    values += [cache.get(key) for key in KEYS[1:]]
    done = time.perf_counter_ns()
    if any(value != VALUE for value in values):
        raise AssertionError(f"{kind.name} lost what another process put")
    print(json.dumps({"open": opened - begun, "first": first - opened, "get": (done - opened) / len(KEYS)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
