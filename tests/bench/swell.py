"""How much memory a put of one large value takes, the value included: a process for each client.

What counts is the most that was resident during the put, above what was before the value was made.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .contender import Scope, entrants
from .object_clients import BOTO3, BOTO3_TRANSFER, CLIENTS, OBSTORE, OURS
from .place import TESTS
from .report import Bar, Cell, Section, Table

MIB = 1 << 20
VALUE = 256
LIMIT = VALUE + 64
PROCESSES = 2
FORGET_PEAK = "5"


def run(scope: Scope, url: str) -> Section:
    """Takes the most of some processes of each client."""
    kinds = entrants(scope, (OURS, BOTO3, BOTO3_TRANSFER, OBSTORE))
    found = {kind.name: max(swollen(CLIENTS.index(kind), url) for _ in range(PROCESSES)) for kind in kinds}
    bar = Bar.at_most(f"memory while putting one {VALUE} MiB value", found.get(OURS.name), LIMIT, "MiB")
    rows: list[tuple[Cell, ...]] = [(name, most, most - VALUE) for name, most in found.items()]
    columns = ("client", "MiB at most", "beside the value")
    return Section([bar], [Table(f"objects: memory while putting one {VALUE} MiB value", columns, rows)])


def swollen(client: int, url: str) -> float:
    """Runs one new process."""
    command = [sys.executable, "-m", f"{__package__}.swell", str(client), url]
    done = subprocess.run(command, cwd=TESTS, stdout=subprocess.PIPE, check=True)  # noqa: S603  (its own words)
    return float(done.stdout)


def main(client: str, url: str) -> None:
    """Puts a small value, so that all is set up, then a large one, and prints what that took in MiB."""
    put = CLIENTS[int(client)].open(url, "swell/").put
    put("small", os.urandom(4_096))
    before = resident("VmRSS")
    value = os.urandom(VALUE * MIB)
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK, encoding="ascii")
    put("large", value)
    print((resident("VmHWM") - before) / MIB)  # noqa: T201  (what the bench reads)


def resident(field: str) -> int:
    """Returns how many bytes of memory this process takes (`VmRSS`), or took at most (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1_024


if __name__ == "__main__":
    main(*sys.argv[1:])
