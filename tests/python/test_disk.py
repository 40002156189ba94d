"""The disk: serializers, other processes, and everything that may go wrong."""

from __future__ import annotations

import asyncio
import math
import os
import random
import subprocess
import sys
import textwrap
import threading

import pytest
from undercroft import (
    ChainCache,
    InMemCache,
    JsonSerializer,
    LocalFileCache,
    PickleSerializer,
    TTLCache,
    errors,
)


def test_a_disk_is_shared_by_processes(tmp_path):
    script = "import sys, undercroft; s = undercroft.LocalFileCache(sys.argv[1]); print(s.get('k')); s.set('j', [2])"
    store = LocalFileCache(tmp_path)
    store.set("k", {"a": 1})
    output = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "{'a': 1}"
    assert store.get("j") == [2]
    assert store.clear() == 2


def test_writers_in_several_processes(tmp_path):
    script = textwrap.dedent("""
        import sys, undercroft
        store = undercroft.LocalFileCache(sys.argv[1], serializer="json")
        for number in range(200):
            store.set(f"k{number % 20}", {"by": sys.argv[2], "number": number})
            value = store.get(f"k{(number * 7) % 20}")
            assert value is None or set(value) == {"by", "number"}, value
    """)
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(at)]) for at in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    store = LocalFileCache(tmp_path, serializer="json")
    assert all(store.get(f"k{number}")["number"] >= 0 for number in range(20))


@pytest.mark.parametrize("serializer", ["pickle", "json", "msgpack", PickleSerializer(), JsonSerializer, None])
def test_serializers_round_trip(serializer, tmp_path):
    value = {"text": "ä\n", "int": -(2**60), "float": 1.5, "none": None, "list": [True, [], {}]}
    LocalFileCache(tmp_path, serializer=serializer).set("k", value)
    assert LocalFileCache(tmp_path, serializer=serializer).get("k") == value


def test_objects_describe_themselves(tmp_path):
    LocalFileCache(tmp_path, serializer="json", compress=True).set("k", {"a": "x" * 1000})
    assert LocalFileCache(tmp_path, serializer="pickle").get("k") == {"a": "x" * 1000}


def test_other_serializers(tmp_path):
    raw = LocalFileCache(tmp_path / "raw", serializer="raw")
    raw.set("k", b"\x00\xff")
    assert raw.get("k") == b"\x00\xff"

    class Upper:
        def dumps(self, value):
            return value.upper().encode()

        def loads(self, data):
            return data.decode().lower()

    own = LocalFileCache(tmp_path / "own", serializer=Upper())
    own.set("k", "text")
    assert own.get("k") == "text"
    assert next((tmp_path / "own" / "objects").glob("*/k")).read_bytes() == b"TEXT"
    with pytest.raises(ValueError, match="unknown serializer `xml`"):
        LocalFileCache(tmp_path, serializer="xml")
    with pytest.raises(TypeError, match="dumps"):
        LocalFileCache(tmp_path, serializer=object())


@pytest.mark.parametrize(
    ("serializer", "value", "named"),
    [
        ("json", {1: 2}, "dict key of type `int`"),
        ("json", {"a": object()}, "`object`"),
        ("json", math.nan, "not finite"),
        ("json", 2**70, "64 bits"),
        ("msgpack", {1, 2}, "`set`"),
        ("raw", "text", "only bytes"),
        ("pickle", lambda: None, "lambda"),
    ],
)
def test_a_value_that_cannot_be_encoded_is_returned_and_counted(serializer, value, named, tmp_path):
    chain = ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path, serializer=serializer), 60)])
    heard = []
    chain.listen(lambda *event: heard.append(event))

    @TTLCache.cached("k", 60, chain)
    def load():
        return value

    assert load() is value
    assert load() is value
    assert chain.stats()["encode_failed"] == 1
    message = next(event[3] for event in heard if event[0] == "encode_failed")
    assert named in message
    assert serializer in message
    assert type(value).__qualname__ in message


def test_circles_are_refused_and_not_followed(tmp_path):
    circle = []
    circle.append(circle)
    store = LocalFileCache(tmp_path, serializer="json")
    store.set("k", circle)
    assert store.stats()["encode_failed"] == 1


def test_a_corrupt_file_is_a_miss_and_counted(tmp_path):
    store = LocalFileCache(tmp_path)
    store.set("k", "value")
    assert store.get("k") == "value"
    file = next((tmp_path / "objects").glob("*/k"))
    file.write_bytes(b"garbage")
    assert store.get("k") is None
    assert store.stats()["corrupt"] == 1
    store.set("k", "again")
    assert store.get("k") == "again"


def test_a_value_that_cannot_be_decoded_is_a_miss_and_loaded_again(tmp_path):
    class Picky:
        broken = False

        def dumps(self, value):
            return value.encode()

        def loads(self, data):
            if self.broken:
                raise ValueError("not today")
            return data.decode()

    picky = Picky()
    disk = LocalFileCache(tmp_path, serializer=picky)

    @TTLCache.cached("k", 60, disk)
    def load():
        return "loaded"

    @TTLCache.cached("k", 60, disk)
    async def load_async():
        return "loaded"

    disk.set("k", "stored")
    assert load() == "stored"
    picky.broken = True
    assert load() == "loaded"
    assert asyncio.run(load_async()) == "loaded"
    assert disk.get("k", "miss") == "miss"
    assert disk.stats()["corrupt"] == 3


def test_a_corrupt_database_is_rebuilt(tmp_path):
    with LocalFileCache(tmp_path) as store:
        store.set("k", 1)
        store.set("j", 2)
    (tmp_path / "index.sqlite").write_bytes(b"no database" * 100)
    store = LocalFileCache(tmp_path)
    assert store.get("k") == 1
    assert store.clear("") == 2


def test_a_full_disk_costs_nothing_but_the_copy(tmp_path):
    """A disk of 1 MiB: the result is returned, the failure counted, nothing half-written stays."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        store = ChainCache([(InMemCache(), 60), (LocalFileCache(folder, serializer="raw"), 60)])

        @TTLCache.cached("k:{}", 60, store)
        def load(number):
            return bytes(300_000)

        assert all(len(load(number)) == 300_000 for number in range(8))
        stats = store.stats()
        assert stats["write_failed"] >= 4
        assert list((folder / "objects").glob("*/.*")) == []
        store.clear()
        load(1)
        assert len(LocalFileCache(folder, serializer="raw").get("k:1")) == 300_000
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_directory_serves_and_refuses(tmp_path):
    folder = tmp_path / "disk"
    with LocalFileCache(folder) as store:
        store.set("k", "value")
    subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True, check=False)
    made = subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("mounting read-only needs root")
    try:
        store = LocalFileCache(folder)
        assert store.get("k") == "value"
        store.set("j", 1)
        assert store.stats()["write_failed"] == 1

        @TTLCache.cached("f", 60, store)
        def load():
            return "computed"

        assert load() == "computed"
        with pytest.raises(errors.Denied) as raised:
            store.delete("k")
        assert isinstance(raised.value, PermissionError)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_folder_that_cannot_be_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.CacheError, match=str(tmp_path / "file")):
        LocalFileCache(tmp_path / "file")


def test_threads_share_a_directory(tmp_path):
    store = LocalFileCache(tmp_path, max_bytes=200_000)
    failed = []

    def work(at):
        try:
            for number in range(300):
                store.set(f"k{number % 50}", os.urandom(2000))
                store.get(f"k{(number * 3) % 50}")
                if number % 40 == at:
                    store.delete(f"k{number % 50}")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_json_keeps_floats_to_the_bit(tmp_path):
    store = LocalFileCache(tmp_path, serializer="json")
    values = [random.Random(1).random() * 10**exponent for exponent in range(-300, 300)] + [
        0.1,
        0.9390097495361829,
        5e-324,
    ]
    store.set("k", values)
    assert LocalFileCache(tmp_path, serializer="json").get("k") == values


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
def test_what_is_written_can_be_read(serializer, tmp_path):
    """What a reader could not follow is refused when it is written: it would be a miss for ever."""
    store = LocalFileCache(tmp_path, serializer=serializer)
    for depth in (100, 150, 500):
        value = []
        for _ in range(depth):
            value = [value]
        store.set("k", value)
        refused = store.stats()["encode_failed"]
        assert store.get("k") == value or refused
        store.delete("k")
    store.set("tuple", {(1, 2): 3})
    assert store.stats()["corrupt"] == 0


def test_a_bad_copy_does_not_hide_a_good_one(tmp_path):
    near, far = LocalFileCache(tmp_path / "near"), LocalFileCache(tmp_path / "far")
    chain = ChainCache([(near, 60), (far, 60)])
    chain.set("k", 5)
    next((tmp_path / "near" / "objects").glob("*/k")).write_bytes(b"garbage")
    assert chain.get("k") == 5


def test_interrupts_are_not_swallowed(tmp_path):
    class Interrupted:
        def dumps(self, value):
            raise KeyboardInterrupt

        def loads(self, data):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalFileCache(tmp_path, serializer=Interrupted()).set("k", 1)


def test_async_reads_of_bad_bytes_are_misses(tmp_path):
    class Broken:
        def dumps(self, value):
            return b"x"

        def loads(self, data):
            raise ValueError("no")

    store = LocalFileCache(tmp_path, serializer=Broken())
    store.set("k", 1)
    assert asyncio.run(store.get_async("k", "miss")) == "miss"
