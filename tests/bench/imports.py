"""How long an import takes in a new process, by the wall clock; what the interpreter itself needs is not counted."""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import dataclass

from .contender import UNDERCROFT, Scope, entrants
from .place import TESTS
from .report import Bar, Cell, Section, Table

PROCESSES = 9
LIMIT = 1 / 3
REQUIRED = "≤ 1/3 x import boto3"
TIMED = "import time; begun = time.perf_counter(); {}; print(time.perf_counter() - begun)"


@dataclass(frozen=True)
class Import:
    """What a program says before it can use a library."""

    name: str
    package: str
    statement: str


TIER = 'S3Cache("b", endpoint_url="http://127.0.0.1:9", region="us-east-1", access_key_id="a", secret_access_key="b")'
OURS = Import("undercroft, an S3 tier configured", UNDERCROFT, f"import undercroft; undercroft.{TIER}")
BOTO3 = Import("boto3", "boto3", "import boto3")
IMPORTS = (
    OURS,
    BOTO3,
    Import("boto3, a client made", "boto3", 'import boto3; boto3.client("s3", region_name="us-east-1")'),
    Import("obstore", "obstore", "import obstore, obstore.store"),
)


def run(scope: Scope) -> Section:
    """Starts the processes in turn; one round more goes first, to warm up."""
    contenders = entrants(scope, IMPORTS)
    taken: dict[str, list[float]] = {one.name: [] for one in contenders}
    for turn in range(PROCESSES + 1):
        for one in contenders:
            seconds = imported(one)
            if turn > 0:
                taken[one.name].append(seconds)
    medians = {name: statistics.median(found) for name, found in taken.items()}
    ratios = {name: median / medians[BOTO3.name] for name, median in medians.items()}
    ours = ratios.get(OURS.name)
    bar = Bar(f"import of {OURS.name}", ours, REQUIRED, None if ours is None else ours <= LIMIT, "x import boto3")
    rows: list[tuple[Cell, ...]] = [(name, median * 1e3, ratios[name]) for name, median in medians.items()]
    return Section([bar], [Table("objects: import in a new process", ("import", "ms", "x import boto3"), rows)])


def imported(one: Import) -> float:
    """Runs one new process."""
    command = [sys.executable, "-c", TIMED.format(one.statement)]
    done = subprocess.run(command, cwd=TESTS, stdout=subprocess.PIPE, check=True)  # noqa: S603  (its own words)
    return float(done.stdout)
