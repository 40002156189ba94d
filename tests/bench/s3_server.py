"""A server of the S3 protocol that others wrote (`s3s-fs`), on a loopback port, over a folder in memory.

It is a process of its own, so that no contender's figures contain it. Where there is no folder in memory with room the
folder lies on disk, and puts measure the disk too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .place import DISK

BINARY = "UNDERCROFT_S3_SERVER"
BUCKET = "bench"
REGION = "us-east-1"
ACCESS_KEY = "test"
SECRET_KEY = "testing-secret"  # noqa: S105  (it opens nothing but this server)

ROOM = 4 << 30
PATIENCE = 10
GREETING = "listening on "


@contextmanager
def serving() -> Iterator[str]:
    """Yields the URL of a server with an empty bucket, which ends with the block."""
    command = [binary(BINARY), "--port", "0", "--bucket", BUCKET]
    with tempfile.TemporaryDirectory(prefix="bench-objects-", dir=memory(), ignore_cleanup_errors=True) as root:
        server = subprocess.Popen(  # noqa: S603  (its own words)
            [*command, "--root", root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield f"http://{address(server)}"
        finally:
            stop(server)


def address(server: subprocess.Popen[str]) -> str:
    """Waits until the server says where it listens."""
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith(GREETING):
            return line.removeprefix(GREETING).strip()
    raise RuntimeError(f"the S3 server ended with {server.wait(PATIENCE)} before it listened")


def stop(server: subprocess.Popen[str]) -> None:
    """Closes the server's input, which ends it."""
    try:
        server.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        raise


def memory() -> str | None:
    """Returns a folder in memory, if the system has one with room for what the bench puts."""
    shared = Path("/dev/shm")  # noqa: S108  (what is put there has a name of its own)
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > ROOM else DISK


def binary(variable: str) -> str:
    """Returns the program that an environment variable names."""
    program = os.environ.get(variable)
    if not program or not Path(program).is_file():
        raise RuntimeError(f"{variable} must name a program; `make bench` builds it and sets it")
    return program
