"""The Node package against what Node's users have: hits, loads, object storage. The programs are in `node/`."""

from __future__ import annotations

import json
import pathlib
import statistics
import subprocess
from typing import Any

from . import s3_server
from .contender import Scope
from .report import Bar, Section, Table

PROGRAMS = pathlib.Path(__file__).with_name("node")
OURS = {"sync": "undercroft cachedSync, a number", "async": "undercroft cached, a number"}
ROUNDS = 3


def run(scope: Scope) -> Section:
    """Measures the package and its peers, which take turns within each program."""
    if scope is not Scope.EVERYONE:
        return Section()
    section = Section()
    hits(section)
    section.bars.append(Bar.at_most("node: loads for 500 promises on a cold key", ask("stampede.js")["loads"], 1))
    objects(section)
    return section


def hits(section: Section) -> None:
    """Adds what a hit costs: in a call that ends at once, awaited, and in the native library's memory."""
    figures = {kind: medians(kind) for kind in ("sync", "async", "native")}
    sync, awaited = figures["sync"], figures["async"]
    section.bars.extend(
        [
            Bar.at_most(
                "node: cachedSync hit against raw lru-cache",
                sync[OURS["sync"]] / sync["raw lru-cache with ttl"],
                3,
                "x",
            ),
            Bar.at_most(
                "node: awaited hit against lru-cache fetch()",
                awaited[OURS["async"]] / awaited["lru-cache fetch()"],
                1.2,
                "x",
            ),
            Bar.at_most(
                "node: hit in a native memory tier", figures["native"]["hit in a native memory tier"] / 1000, 3, "µs"
            ),
        ]
    )
    rows: list[tuple[str | float | int | None, ...]] = [
        (name, nanoseconds) for kind in figures.values() for name, nanoseconds in kind.items()
    ]
    section.tables.append(Table("A hit in Node", ("what", "ns"), rows))


def medians(kind: str) -> dict[str, float]:
    """Returns the medians over several processes: where one's memory lies is chance."""
    runs = [ask("hits.js", kind) for _ in range(ROUNDS)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def objects(section: Section) -> None:
    """Adds what 1,000 values of 4 KiB cost, against the AWS SDK; each in a process of its own, in turns."""
    names = ("undercroft", "aws")
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with s3_server.serving() as url:
        for _ in range(ROUNDS):
            for name in names:
                runs[name].append(ask("objects.js", name, *place(url)))
    rate, cpu = "gets a second", "µs of CPU a get"
    ours, theirs = (
        {what: statistics.median(run[what] for run in runs[name]) for what in (rate, cpu)} for name in names
    )
    section.bars.extend(
        [
            Bar.at_least("node: S3 getMany against @aws-sdk/client-s3", ours[rate] / theirs[rate], 4, "x"),
            Bar.at_most("node: S3 getMany, its CPU", ours[cpu] / theirs[cpu], 0.25, "x"),
        ]
    )
    rows: list[tuple[str | float | int | None, ...]] = [
        ("undercroft getMany", ours[rate], ours[cpu]),
        ("@aws-sdk/client-s3, 32 at a time", theirs[rate], theirs[cpu]),
    ]
    section.tables.append(Table("1,000 values of 4 KiB from S3, in Node", ("what", rate, cpu), rows))


def place(url: str) -> tuple[str, ...]:
    """Returns where the bucket is, as the programs take it."""
    return (url, s3_server.ACCESS_KEY, s3_server.SECRET_KEY, s3_server.BUCKET)


def ask(program: str, *arguments: str) -> Any:
    """Runs a program, and returns what it prints."""
    command = ["node", str(PROGRAMS / program), *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
