"""Who takes part in the bench `objects`, and how: a new process for each measurement, in interleaved rounds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import object_clients as clients
from .object_clients import ClientKind
from .place import TESTS
from .s3_server import BUCKET, binary

PEERS = "UNDERCROFT_BENCH_PEERS"


@dataclass(frozen=True)
class Work:
    """What one process does: one verb with `keys` keys, each `times` times in a pass, over values of `size` bytes."""

    verb: str
    keys: int
    size: int
    times: int = 1
    concurrency: int = 1

    @property
    def writes(self) -> bool:
        """Whether it leaves objects behind."""
        return self.verb.startswith("put")


@dataclass(frozen=True)
class Pace:
    """Seconds of one operation: on the wall, and of the client process's CPU."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Racer:
    """One contender; `command` takes the work, the server's URL and what names begin with."""

    name: str
    package: str
    command: Callable[[Work, str, str], list[str]]


def python(kind: ClientKind, name: str | None = None) -> Racer:
    """Returns a client of Python as a racer."""

    def command(work: Work, url: str, prefix: str) -> list[str]:
        sizes = [str(number) for number in (work.keys, work.times, work.size)]
        module = [sys.executable, "-m", f"{__package__}.object_task"]
        return [*module, str(clients.CLIENTS.index(kind)), work.verb, *sizes, url, prefix]

    return Racer(name or kind.name, kind.package, command)


def object_store(work: Work, url: str, prefix: str) -> list[str]:
    """Runs the Rust crate."""
    where = ["--url", url, "--bucket", BUCKET, "--prefix", prefix]
    what = ["--keys", str(work.keys), "--size", str(work.size), "--concurrency", str(work.concurrency)]
    return [binary(PEERS), "object-store", work.verb.removesuffix("-many"), *where, *what]


def bare(work: Work, url: str, prefix: str) -> list[str]:
    """Runs a bare HTTP client of Rust, to which the address of the first object is given, signed."""
    address = clients.presigned(clients.boto3_client(url), f"{prefix}item0000")
    return [binary(PEERS), "bare", "get", "--url", address, "--keys", str(work.times), "--size", str(work.size)]


def race(racers: Sequence[Racer], work: Work, rounds: int, url: str, prefix: str) -> dict[str, Pace]:
    """Starts the processes in turn and returns each racer's medians; one round more goes first, to warm up.

    All get the same objects, and each puts objects of its own.
    """
    paces: dict[str, list[Pace]] = {racer.name: [] for racer in racers}
    for turn in range(rounds + 1):
        for at, racer in enumerate(racers):
            pace = run(racer, work, url, f"{prefix}{at}/" if work.writes else prefix)
            if turn > 0:
                paces[racer.name].append(pace)
    return {name: median(found) for name, found in paces.items()}


def run(racer: Racer, work: Work, url: str, prefix: str) -> Pace:
    """Runs one new process."""
    command = racer.command(work, url, prefix)
    done = subprocess.run(command, cwd=TESTS, stdout=subprocess.PIPE, check=True)  # noqa: S603  (its own words)
    taken: Mapping[str, float] = json.loads(done.stdout)
    return Pace(taken["wall"] / taken["ops"], taken["cpu"] / taken["ops"])


def median(paces: Sequence[Pace]) -> Pace:
    """Takes the median of each figure by itself."""
    return Pace(statistics.median(pace.wall for pace in paces), statistics.median(pace.cpu for pace in paces))


OURS = python(clients.OURS)
BOTO3 = python(clients.BOTO3, f"boto3, {clients.THREADS} threads")
BOTO3_ALONE = python(clients.BOTO3)
BOTO3_TRANSFER = python(clients.BOTO3_TRANSFER)
OBSTORE = python(clients.OBSTORE, f"obstore, {clients.THREADS} threads")
OBSTORE_ALONE = python(clients.OBSTORE)
MINIO = python(clients.MINIO, f"minio, {clients.THREADS} threads")
HTTP_CLIENT = python(clients.HTTP_CLIENT)
OBJECT_STORE = Racer("object_store (Rust)", "", object_store)
BARE = Racer("bare HTTP client (Rust reqwest), signed once", "", bare)
