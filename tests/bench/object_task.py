"""A new process that does one task with one client: `object_task CLIENT VERB KEYS TIMES SIZE URL PREFIX`.

The first operations are not timed: threads, connections and lazily loaded modules are there when the clocks start. What
was got is compared with what was put after they stopped.
"""

# ruff: noqa: T201  (printing is how it answers)
from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from .measure import Stopwatch
from .object_clients import CLIENTS, Client

WARM_UP = 64
AT_LEAST = 0.3e9

Pass = Callable[[Sequence[str]], Mapping[str, Any]]


def main(client: str, verb: str, keys: str, times: str, size: str, url: str, prefix: str) -> None:
    """Prints what the passes took in seconds, and how many operations they were."""
    names = [f"item{at:04}" for at in range(int(keys))]
    values = {name: Random(at).randbytes(int(size)) for at, name in enumerate(names)}  # noqa: S311  (the same everywhere)
    once = a_pass(CLIENTS[int(client)].open(url, prefix), verb, values)
    passed = names * int(times)
    once(passed[:WARM_UP])
    wall = cpu = passes = 0.0
    while wall < AT_LEAST:
        with Stopwatch() as watch:
            found = once(passed)
        wall, cpu, passes = wall + watch.cost.wall, cpu + watch.cost.process, passes + 1
        if any(bytes(value) != values[name] for name, value in found.items()) or len(found) != len(names):
            raise AssertionError("what was got is not what was put")
    print(json.dumps({"wall": wall / 1e9, "cpu": cpu / 1e9, "ops": passes * len(passed)}))


def a_pass(client: Client, verb: str, values: Mapping[str, bytes]) -> Pass:
    """Returns what goes through the keys once."""

    def get(keys: Sequence[str]) -> Mapping[str, Any]:
        return {key: client.get(key) for key in keys}

    def put(keys: Sequence[str]) -> Mapping[str, Any]:
        for key in keys:
            client.put(key, values[key])
        return values

    def put_many(keys: Sequence[str]) -> Mapping[str, Any]:
        client.put_many({key: values[key] for key in keys})
        return values

    return {"get": get, "put": put, "get-many": client.get_many, "put-many": put_many}[verb]


if __name__ == "__main__":
    main(*sys.argv[1:])
