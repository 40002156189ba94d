"""What one language puts into a shared bucket, the others get: the same value with the same deadlines.

Python, Rust, Node and the component take turns on one prefix of an S3 server. The other three are programs that answer requests
line by line; `UNDERCROFT_SHELVES` names them.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import servers
from undercroft import LocalFileCache, S3Cache

PREFIX = "shared/"
DOCUMENT = {"name": "Ada", "n": [1, -2.5, None, True], "é": {"empty": ""}}
TEXT = json.dumps(DOCUMENT, ensure_ascii=False, separators=(",", ":"))
PACKED = bytes.fromhex("83a46e616d65a3416461a16e9401cbc004000000000000c0c3a2c3a981a5656d707479a0")


class Shelf:
    """Another language's cache on the shared prefix."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.process.wait()}"
        return json.loads(line)

    def put(self, key: str, data: bytes, codec: str, ttl: int, stale: int = 0) -> None:
        self.ask(do="put", key=key, bytes=list(data), codec=codec, ttl=ttl, stale=stale)

    def get(self, key: str) -> tuple[bytes, str, tuple[int, int, int]]:
        found = self.ask(do="get", key=key)
        return bytes(found["bytes"]), found["codec"], (found["created_at"], found["fresh_until"], found["stale_until"])


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    with servers.s3s(["bucket"]) as server:
        yield server


def programs() -> dict[str, str]:
    named = os.environ.get("UNDERCROFT_SHELVES", "")
    assert named, "UNDERCROFT_SHELVES names the programs: run `make test-languages`"
    return dict(pair.split("=", 1) for pair in named.split(":"))


def s3(server: servers.Server, codec: str) -> dict[str, Any]:
    return {
        "url": "s3://bucket",
        "region": "us-east-1",
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "codec": codec,
    }


@contextlib.contextmanager
def shelf(language: str, server: servers.Server, codec: str, tier: dict[str, Any] | None = None) -> Iterator[Shelf]:
    own = s3(server, codec) if tier is None else tier
    tier = {
        "on_error": "raise",
        **({} if own["url"].startswith("file:") else {"prefix": PREFIX, "endpoint_url": server.url}),
        **own,
    }
    command = [programs()[language], json.dumps({"tiers": [tier]})]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Shelf(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait() == 0


def python(server: servers.Server, codec: str) -> S3Cache:
    return S3Cache(
        "bucket",
        PREFIX,
        serializer=codec,
        endpoint_url=server.url,
        region="us-east-1",
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
    )


def deadlines(cache: S3Cache | LocalFileCache, key: str) -> tuple[int, int]:
    entry = cache.get_entry(key)
    assert entry is not None
    return round(entry.created_at * 1000), round(entry.fresh_until * 1000)


LANGUAGES = ["rust", "component", "node"]
FORMS = [("json", TEXT.encode()), ("msgpack", PACKED)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("codec", "data"), FORMS)
def test_others_get_what_python_puts(server: servers.Server, language: str, codec: str, data: bytes) -> None:
    key = f"python-for-{language}-{codec}"
    cache = python(server, codec)
    cache.set(key, DOCUMENT, ttl=90)

    with shelf(language, server, codec) as other:
        found, written, (created_at, fresh_until, stale_until) = other.get(key)

    assert written == codec
    assert found == data if codec == "msgpack" else json.loads(found) == DOCUMENT
    assert (created_at, fresh_until) == deadlines(cache, key)
    assert fresh_until - created_at == 90_000
    assert stale_until == fresh_until


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("codec", "data"), FORMS)
def test_python_gets_what_others_put(server: servers.Server, language: str, codec: str, data: bytes) -> None:
    key = f"{language}-for-python-{codec}"
    with shelf(language, server, codec) as other:
        other.put(key, data, codec, ttl=90_000, stale=5_000)
        _, _, (created_at, fresh_until, stale_until) = other.get(key)

    cache = python(server, "pickle")

    assert cache.get(key) == DOCUMENT
    assert deadlines(cache, key) == (created_at, fresh_until)
    assert (fresh_until - created_at, stale_until - fresh_until) == (90_000, 5_000)


@pytest.mark.parametrize("language", LANGUAGES)
def test_bytes_go_both_ways(server: servers.Server, language: str) -> None:
    cache = python(server, "raw")
    cache.set(f"raw-for-{language}", b"\x00\xff", ttl=90)

    with shelf(language, server, "raw") as other:
        found, written, (created_at, fresh_until, _) = other.get(f"raw-for-{language}")
        other.put(f"raw-from-{language}", b"\xfe\x01", "raw", ttl=90_000)

    assert (found, written) == (b"\x00\xff", "raw")
    assert (created_at, fresh_until) == deadlines(cache, f"raw-for-{language}")
    assert cache.get(f"raw-from-{language}") == b"\xfe\x01"


PAIRS = [(writer, reader) for writer in LANGUAGES for reader in LANGUAGES if writer != reader]


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
@pytest.mark.parametrize(("codec", "data"), [*FORMS, ("raw", b"\x00\xff"), ("utf8", "é".encode())])
def test_the_others_among_themselves(server: servers.Server, writer: str, reader: str, codec: str, data: bytes) -> None:
    key = f"{writer}-{codec}"
    with shelf(writer, server, codec) as one, shelf(reader, server, codec) as two:
        one.put(key, data, codec, ttl=60_000, stale=30_000)

        assert two.get(key) == one.get(key)
        assert two.get(key)[:2] == (data, codec)


LONG = {"text": "word " * 20_000}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compressed(server: servers.Server, language: str) -> None:
    cache = python(server, "json")
    cache.set(f"long-for-{language}", LONG, ttl=60)
    with shelf(language, server, "json") as other:
        assert json.loads(other.get(f"long-for-{language}")[0]) == LONG
        other.put(f"long-from-{language}", json.dumps(LONG).encode(), "json", ttl=60_000)

    assert cache.get(f"long-from-{language}") == LONG
    assert server.root is not None
    for key in (f"long-for-{language}", f"long-from-{language}"):
        stored = (server.root / "bucket" / PREFIX / key).read_bytes()
        assert stored[:2] == b"\x1f\x8b" and len(stored) < 2_000, "it is gzip"


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@pytest.mark.parametrize("language", ["rust", "node"])
def test_a_directory_is_shared(server: servers.Server, tmp_path: pathlib.Path, language: str, codec: str) -> None:
    cache = LocalFileCache(tmp_path, serializer=codec)
    cache.set("from-python", DOCUMENT, ttl=90)
    with shelf(language, server, codec, {"url": f"file://{tmp_path}", "codec": codec}) as other:
        found, written, (created_at, fresh_until, _) = other.get("from-python")
        other.put("for-python", dict(FORMS)[codec], codec, ttl=90_000, stale=5_000)

    assert written == codec
    assert found == PACKED if codec == "msgpack" else json.loads(found) == DOCUMENT
    assert deadlines(cache, "from-python") == (created_at, fresh_until)
    assert cache.get("for-python") == DOCUMENT


def test_v8_belongs_to_node_and_a_pickle_is_a_miss_there(server: servers.Server) -> None:
    python(server, "pickle").set("for-node", DOCUMENT, ttl=60)
    with shelf("node", server, "v8") as other:
        assert other.ask(do="get", key="for-node") is None
        other.put("from-node", b"\xff\x0f\x22\x01a", "v8", ttl=60_000)
        assert other.get("from-node")[1] == "v8"

    assert python(server, "json").get("from-node") is None


def test_the_component_writes_what_the_tier_keeps(server: servers.Server) -> None:
    with shelf("component", server, "msgpack") as other:
        other.put("turned", TEXT.encode(), "json", ttl=60_000)

        assert other.get("turned")[:2] == (PACKED, "msgpack")
    assert python(server, "json").get("turned") == DOCUMENT


def test_a_pickle_belongs_to_python(server: servers.Server) -> None:
    python(server, "pickle").set("pickled", DOCUMENT, ttl=60)

    with shelf("component", server, "json") as other:
        assert other.ask(do="get", key="pickled") == {"error": "unsupported"}


def test_google_cloud_storage_over_wasi_http() -> None:
    with servers.gcs() as server:
        ask(f"{server.url}/storage/v1/b?project=test", {"name": "bucket"})
        # The emulator serves one connection after the other.
        tier = {"url": "gs://bucket", "anonymous": True, "concurrency": 1, "compress": False}
        with shelf("component", server, "json", tier) as other:
            other.put("k", TEXT.encode(), "json", ttl=60_000)
            found, codec, (created_at, fresh_until, _) = other.get("k")

        stored = ask(f"{server.url}/storage/v1/b/bucket/o/shared%2Fk")

    assert (found, codec, fresh_until - created_at) == (TEXT.encode(), "json", 60_000)
    assert stored["metadata"]["ac-codec"] == "json"
    assert stored["metadata"]["ac-fresh-until"] == str(fresh_until)
    assert stored["contentType"] == "application/json"


def ask(url: str, document: dict[str, Any] | None = None) -> Any:
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "Connection": "close"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
