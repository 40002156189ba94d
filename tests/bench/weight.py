"""How much memory an entry takes beside its objects: a process for each contender, a million entries.

The keys and the values exist before, so that what the process grows by is the cache's own.
"""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .contender import UNDERCROFT, Scope, is_installed
from .report import Bar, Section, Table

ENTRIES = 1_000_000
FIRST = 10_000_000
LIMIT = 100
OURS = "undercroft"
PACKAGES = {
    OURS: UNDERCROFT,
    "functools.lru_cache": "",
    "cachebox TTLCache": "cachebox",
    "warp_cache ttl": "warp_cache",
    "cachetools TTLCache": "cachetools",
}


def run(scope: Scope) -> Section:
    """Measures each contender in a process of its own."""
    rows = []
    for name, package in PACKAGES.items():
        if is_installed(package) and not (scope is Scope.PEERS and package == UNDERCROFT):
            command = [sys.executable, "-m", "bench.weight", name]
            found = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  (our own module)
            rows.append((name, float(found.stdout)))
    ours = next((weight for name, weight in rows if name == OURS), None)
    bar = Bar.at_most("memory beside the objects, 1 M int to 64 bytes", ours, LIMIT, "bytes an entry")
    return Section([bar], [Table("memory beside the objects", ("cache", "bytes an entry"), list(rows))])


def decorated(name: str, function: Any) -> Any:
    """Returns `function` cached by the contender of this name, with room for everything and an hour to live."""
    hour = 3_600
    if name == OURS:
        ours: Any = import_module(UNDERCROFT)
        return ours.TTLCache.cached("user:{}", hour, cache=ours.InMemCache(max_entries=ENTRIES))(function)
    if name == "functools.lru_cache":
        return functools.lru_cache(maxsize=ENTRIES)(function)
    library: Any = import_module(PACKAGES[name])
    if name == "warp_cache ttl":
        return library.cache(max_size=ENTRIES, ttl=hour)(function)
    return library.cached(library.TTLCache(ENTRIES, hour))(function)


def resident() -> int:
    """Returns how many bytes of memory this process takes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4_096


def main(name: str) -> None:
    """Prints how many bytes each entry takes."""
    keys = list(range(FIRST, FIRST + ENTRIES))
    values = [b"%064d" % key for key in keys]
    cached = decorated(name, lambda key: values[key - FIRST])
    before = resident()
    for key in keys:
        cached(key)
    print((resident() - before) / ENTRIES)  # noqa: T201  (what the bench reads)


if __name__ == "__main__":
    main(sys.argv[1])
