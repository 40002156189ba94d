"""The WebAssembly component in the wasmtime host: how large it is, how fast it starts, and what a get costs."""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import time

from . import s3_server
from .contender import Scope
from .report import Bar, Section, Table

SIZES = {"undercroft.wasm": 3_000_000, "undercroft-memory.wasm": 350_000}
HITS = {"hit 16 B": 0.5, "hit 1 KiB": 0.6, "hit 64 KiB": 2.5}
ROUNDS = 25
GETS = 100


def run(scope: Scope) -> Section:
    """Measures the component; there are no peers, so there is nothing to measure without it."""
    if scope is not Scope.EVERYONE:
        return Section()
    section = Section()
    components = pathlib.Path(os.environ["UNDERCROFT_COMPONENTS"])
    for name, limit in SIZES.items():
        section.bars.append(
            Bar.at_most(f"size of {name}", (components / name).stat().st_size / 1000, limit / 1000, "kB")
        )
    figures: dict[str, float] = json.loads(ask())
    for name, limit in HITS.items():
        section.bars.append(Bar.at_most(f"component: {name}", figures[name] / 1000, limit, "µs"))
    section.bars.append(Bar.at_most("component: instantiate", figures["instantiate"] / 1000, 50, "µs"))
    section.bars.append(Bar.at_most("component: cold start", figures["cold start"] / 1e6, 2, "ms"))
    ratio = figures["keyvalue, ours"] / figures["keyvalue, the host's"]
    section.bars.append(Bar.at_most("component: keyvalue get against the host's", ratio, 2, "x"))
    component, native = over_http()
    section.bars.append(Bar.at_most("component: S3 get 4 KiB against native", component / native, 2, "x"))
    rows: list[tuple[str | float | int | None, ...]] = [(name, value / 1000) for name, value in figures.items()]
    rows += [("S3 get 4 KiB, component", component / 1000), ("S3 get 4 KiB, native", native / 1000)]
    section.tables.append(Table("The component in the wasmtime host", ("what", "µs"), rows))
    return section


def ask(*arguments: str) -> str:
    """Runs the program that measures, and returns what it prints."""
    return subprocess.run(
        [os.environ["UNDERCROFT_COMPONENT_BENCH"], *arguments], check=True, capture_output=True, text=True
    ).stdout


def over_http() -> tuple[float, float]:
    """Returns the median time of a get of 4 KiB from S3, by the component and natively (called from Python), in nanoseconds."""
    from undercroft import S3Cache

    with s3_server.serving() as url:
        options = {
            "endpoint_url": url,
            "region": s3_server.REGION,
            "access_key_id": s3_server.ACCESS_KEY,
            "secret_access_key": s3_server.SECRET_KEY,
        }
        cache = S3Cache(s3_server.BUCKET, "bench/", serializer="raw", compress=False, **options)
        cache.set("k", bytes(4096), ttl=3600)
        tier = {"url": f"s3://{s3_server.BUCKET}", "prefix": "bench/", "compress": False, **options}
        components, natives = [], []
        for _ in range(3):
            components.append(float(ask(json.dumps({"tiers": [tier]}), "k")))
            natives.append(gets(cache))
    return statistics.median(components), statistics.median(natives)


def gets(cache: object) -> float:
    """Returns the median time of a get, in nanoseconds."""
    get = cache.get  # type: ignore[attr-defined]
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        for _ in range(GETS):
            assert get("k") is not None
        rounds.append((time.perf_counter_ns() - start) / GETS)
    return statistics.median(rounds)
