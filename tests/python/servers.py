"""Servers of objects that others wrote, for tests: real processes on ports of the loopback interface.

Each is a context manager that yields a `Server` once it answers, and ends the process on the way out. The processes
also end when their standard input does, so none outlives the tests, however those end.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

PATIENCE = 30.0
"""How many seconds a server has to answer for the first time, and a process to end."""


@dataclass(frozen=True)
class Server:
    """A server that answers. `root` is the folder that holds its buckets, where it keeps them as folders."""

    name: str
    url: str
    access_key: str
    secret_key: str
    root: pathlib.Path | None = None


class ServerFailed(RuntimeError):
    """A server did not start. The message ends with what it wrote."""


@contextlib.contextmanager
def moto() -> Iterator[Server]:
    """Serve S3 from memory with `moto`. It takes requests of anybody, signed or not."""
    with _python("moto.server", lambda port: ["-H", "127.0.0.1", "-p", str(port)]) as url:
        yield Server("moto", url, "testing", "testing-secret")


@contextlib.contextmanager
def gcs() -> Iterator[Server]:
    """Serve the JSON API of Google Cloud Storage from memory with `gcp-storage-emulator`. It asks for no key."""
    with _python(
        "gcp_storage_emulator", lambda port: ["start", "-H", "127.0.0.1", "--port", str(port), "--in-memory", "--quiet"]
    ) as url:
        yield Server("gcs", url, "", "")


@contextlib.contextmanager
def s3s(buckets: Sequence[str] = ()) -> Iterator[Server]:
    """Serve S3 from files with `s3s-fs`. It checks signatures.

    Raises:
        ServerFailed: The environment does not say where the program is.
    """
    program = os.environ.get("UNDERCROFT_S3_SERVER", "")
    if not os.access(program, os.X_OK):
        raise ServerFailed(
            f"UNDERCROFT_S3_SERVER is {program!r}, which is no program: run the tests with `make test`, which builds it"
        )
    with tempfile.TemporaryDirectory(prefix="undercroft-s3s-") as root:
        named = [word for bucket in buckets for word in ("--bucket", bucket)]
        with _process([program, "--root", root, *named], told=True) as (process, written):
            line = process.stdout.readline() if process.stdout else b""
            _, found, address = line.decode().strip().partition("listening on ")
            if not found:
                raise ServerFailed(f"{program} did not start: {_read(written)}")
            yield Server("s3s", f"http://{address}", "test", "testing-secret", pathlib.Path(root))


def make_bucket(server: Server, name: str) -> None:
    """Make an empty bucket."""
    if server.root is not None:
        (server.root / name).mkdir()
    elif server.name == "gcs":
        document = json.dumps({"name": name}).encode()
        _expect_success(server, "POST", "/storage/v1/b?project=test", document, {"Content-Type": "application/json"})
    else:
        _expect_success(server, "PUT", f"/{name}")


def reset(server: Server) -> None:
    """Remove every bucket of a server that keeps them in memory."""
    if server.name == "gcs":
        _expect_success(server, "GET", "/wipe")
    else:
        _expect_success(server, "POST", "/moto-api/reset")


# ---- processes


# Runs a module as `python -m` does, and ends with standard input.
_MODULE = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@contextlib.contextmanager
def _python(module: str, arguments: Callable[[int], list[str]]) -> Iterator[str]:
    """Run a module that serves HTTP on the port it is told, and yield its URL.

    The port is free when it is chosen. Should somebody else take it first, the process ends and another port is tried.
    """
    for _ in range(5):
        port = _free_port()
        with _process([sys.executable, "-c", _MODULE, module, *arguments(port)]) as (process, written):
            if not _answers(process, port):
                failure = f"{module} did not answer: {_read(written)}"
                continue
            yield f"http://127.0.0.1:{port}"
            return
    raise ServerFailed(failure)


@contextlib.contextmanager
def _process(command: list[str], *, told: bool = False) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Run a command, and end it by closing its standard input, or else by killing it.

    With `told`, its standard output is a pipe to read from. Everything else it writes goes to the file.
    """
    with tempfile.TemporaryFile() as written:
        output = subprocess.PIPE if told else written
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=written)
        assert process.stdin is not None
        try:
            yield process, written
        finally:
            process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the process answers a request, and say whether it ever did."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            _request("127.0.0.1", port, "GET", "/")
            return process.poll() is None
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _read(written: IO[bytes]) -> str:
    written.seek(0)
    return written.read().decode(errors="replace").strip() or "it wrote nothing"


# ---- requests


def _expect_success(
    server: Server, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> None:
    parts = urllib.parse.urlsplit(server.url)
    status, answer = _request(parts.hostname or "", parts.port or 80, method, path, body, headers)
    if status >= 300:
        raise ServerFailed(f"{method} {path} on {server.name}: {status} {answer!r}")


def _request(
    host: str, port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
