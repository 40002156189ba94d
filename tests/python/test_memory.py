"""Memory: what is kept alive and for how long, under threads, and until the interpreter ends."""

from __future__ import annotations

import gc
import itertools
import random
import subprocess
import sys
import threading
import weakref

import pytest
from loading import Value
from waiting import wait_until

from undercroft import BGCache, ChainCache, InMemCache, SWRCache, TTLCache, cache

# ---- what is kept alive, and for how long


def test_what_is_evicted_leaves_no_trace():
    @cache(60, store=InMemCache(max_entries=10))
    def load(key):
        return Value(key)

    text = "an argument " + "of some length"
    before = sys.getrefcount(text)
    watch = weakref.ref(load(text))
    load(text)
    assert watch() is not None

    # What is used again and again takes the place of what was used twice.
    names = itertools.cycle([f"{at}" for at in range(15)])
    wait_until(lambda: all(load(next(names)) for _ in range(15)) and watch() is None)

    assert sys.getrefcount(text) == before


@pytest.mark.parametrize("way", ["delete", "invalidate", "set", "clear", "forget"])
def test_what_is_removed_is_dropped_at_once(way):
    store = InMemCache()

    @TTLCache.cached("k:{}", 60, cache=store)
    def load(value):
        return Value(value)

    watch = weakref.ref(load(1))
    load(1)
    if way == "delete":
        store.delete("k:1")
    elif way == "invalidate":
        load.invalidate(1)
    elif way == "set":
        store.set("k:1", "another")
    elif way == "clear":
        store.clear()
    else:
        del load, store
        gc.collect()

    gc.collect()
    assert watch() is None


def test_what_has_ended_leaves_memory_without_being_asked():
    store = InMemCache()
    watches = []
    for at in range(100):
        value = Value(at)
        watches.append(weakref.ref(value))
        store.set(f"k:{at}", value, 0.05)
        del value
    kept = Value("kept")
    store.set("kept", kept, 3600)

    wait_until(lambda: not any(watch() for watch in watches))

    assert store.get("kept") is kept
    assert store.near_usage()[0] == 1


def test_what_has_ended_leaves_every_memory_of_a_chain():
    far = InMemCache()
    chain = ChainCache([(InMemCache(), None), (far, None)])
    value = Value()
    watch = weakref.ref(value)
    chain.set("k", value, 0.05)
    del value

    wait_until(lambda: watch() is None)

    assert far.near_usage()[0] == 0


def test_what_ends_sooner_is_swept_sooner():
    store = InMemCache()
    store.set("long", Value(), 3600)
    value = Value()
    watch = weakref.ref(value)
    store.set("short", value, 0.05)
    del value

    wait_until(lambda: watch() is None)

    assert store.near_keys() == ["long"]


def test_a_dropped_value_may_use_the_cache():
    store = InMemCache(max_entries=4)
    dropped = []

    class Last:
        def __init__(self, name):
            self.name = name

        def __del__(self):
            dropped.append(self.name)
            store.get("k:0")
            if not self.name.endswith("'"):
                store.set(f"k:{len(dropped) % 8}", Last(self.name + "'"), 60)

    for at in range(100):
        store.set(f"k:{at % 9}", Last(str(at)), 60)
    store.clear()
    gc.collect()

    assert len(dropped) >= 100


# ---- all at once


def test_threads_that_call_delete_and_evict_get_their_own_values():
    store = InMemCache(max_entries=200)

    @TTLCache.cached("t:{}", 0.02, cache=store)
    def plain(key):
        return Value(key)

    @SWRCache.cached("s:{}:{b}", 0.005, 5, cache=ChainCache([(store, 1), (InMemCache(max_entries=300), None)]))
    def stale(key, b=1):
        return Value((key, b))

    @cache(0.02, store=store)
    def default(a, b="x", *, c=None):
        return Value((a, b, c))

    wrong = []

    def work(seed):
        chance = random.Random(seed)  # noqa: S311
        checks = {
            "plain": lambda k: plain(k).of == k,
            "stale": lambda k: stale(k, b=k % 3).of == (k, k % 3),
            "default": lambda k: default(k, c=str(k)).of == (k, "x", str(k)),
            "get": lambda k: (found := store.get(f"t:{k}")) is None or found.of == k,
            "set": lambda k: store.set(f"t:{k}", Value(k), 0.02) is None,
            "delete": lambda k: plain.invalidate(k) is None,
            "expire": lambda k: stale.expire(k, b=k % 3) is None,
            "clear": lambda k: k % 50 or store.clear("t:") >= 0,
            "sweep": lambda k: k % 50 or store.cleanup_expired() >= 0,
        }
        names = random.Random(seed).choices(list(checks), weights=[30, 20, 20, 10, 10, 5, 3, 1, 1], k=6000)  # noqa: S311
        try:
            for name in names:
                if not checks[name](chance.randrange(400)):
                    wrong.append(name)
        except BaseException as error:
            wrong.append(error)
            raise

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(store) <= 200
    for held in (plain.store, store, stale.store):
        held.clear()
    BGCache.shutdown()
    gc.collect()
    wait_until(lambda: gc.collect() >= 0 and not any(isinstance(found, Value) for found in gc.get_objects()))


def test_a_daemon_thread_inside_a_loader_does_not_disturb_the_end():
    code = """
import threading, time
from undercroft import TTLCache

started = threading.Event()

@TTLCache.cached("{}", 60)
def load(value):
    started.set()
    while True:
        time.sleep(0.001)

class Api:
    @TTLCache.cached("m:{}", 60)
    def load(self, value):
        while True:
            time.sleep(0.001)

threading.Thread(target=load, args=(1,), daemon=True).start()
threading.Thread(target=Api().load, args=(1,), daemon=True).start()
started.wait()
print("over")
"""
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "over\n", "")


def test_values_that_are_dropped_in_the_background_do_not_disturb_the_end():
    code = """
import time
from undercroft import InMemCache

class Value:
    def __del__(self):
        time.sleep(0.0005)

store = InMemCache()
for at in range(2000):
    store.set(f"k:{at}", Value(), 1)
time.sleep(1.1)
"""
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("limits", [(10_000, 349_999), (1, None), (1, 10), (3, None), (7, 64), (50_000, 2**40)])
def test_limits_hold_whatever_they_are(limits):
    most, size = limits
    store = InMemCache(max_entries=most, max_bytes=size)

    for at in range(15_000):
        store.set(f"k:{at}", None, 60)
        store.get(f"k:{at // 2}")

    held = store.near_usage()
    assert 0 <= held[0] <= most
    assert size is None or held[1] <= size
    assert held[0] > 0 or size == 10
