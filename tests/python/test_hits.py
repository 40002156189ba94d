"""Hits: the call that finds its value in memory, whatever it is called with, and what hits must not keep alive."""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import random
import subprocess
import sys
import threading
import weakref

import pytest
import undercroft
from undercroft import BGCache, ChainCache, InMemCache, InMemoryMetrics, SWRCache, TTLCache, cache
from waiting import wait_until


class Value:
    """A result that can be watched."""

    def __init__(self, of=None):
        self.of = of


def counted(decorator, function=None):
    """Return a cached function, and the list of what its loader was called with."""
    loads = []

    @decorator
    @functools.wraps(function or (lambda *_args, **_kwargs: None))
    def load(*args, **kwargs):
        loads.append((args, kwargs))
        return len(loads)

    return load, loads


def echo(decorator):
    loads = []

    @decorator
    def load(value):
        loads.append(value)
        return value

    return load, loads


# ---- which calls are the same


def test_a_template_tells_arguments_apart_by_their_text():
    load, loads = echo(TTLCache.cached("v:{}", 60))

    for value in (1, "1", True, 1.0, "True", None, "None", b"1", "b'1'", -1, 2**40, 2**70, str(2**70)):
        for _ in range(3):
            load(value)

    # What has the same text is the same: that is what a template says.
    assert [(type(value), value) for value in loads] == [
        (int, 1), (bool, True), (float, 1.0), (type(None), None), (bytes, b"1"), (int, -1), (int, 2**40), (int, 2**70)
    ]  # fmt: skip


def test_a_default_key_tells_types_apart():
    load, loads = echo(cache(60))
    values = [
        1,
        "1",
        True,
        1.0,
        None,
        "None",
        "'1'",
        b"1",
        "b'1'",
        "a,b",
        "a\\",
        "a'",
        "é",
        "\n",
        "",
        b"",
        b"\x00",
        b"'",
    ]

    for value in values * 3:
        assert load(value) is value or load(value) == value

    assert [(type(value), value) for value in loads] == [(type(value), value) for value in values]


@pytest.mark.parametrize(
    "number", [0, 9, 10, 99, 100, 9_999, 10_000, 99_999_999, 10**8, -1, -(10**8), 2**63 - 1, -(2**63)]
)
def test_numbers_are_written_as_python_writes_them(number):
    store = InMemCache()
    load, loads = echo(TTLCache.cached("{}", 60, cache=store))
    store.set(str(number), "there", 60)

    assert load(number) == "there"
    assert loads == []


def test_any_text_finds_its_own_entry():
    load, loads = echo(TTLCache.cached("p:{}", 60))
    texts = [
        letter * length for letter in ("a", "é", "𝄞") for length in (*range(1, 40), 63, 64, 65, 127, 190, 200, 210, 250)
    ]

    for text in texts * 2:
        assert load(text) == text

    assert loads == texts


def test_positions_keywords_and_defaults_are_one_call():
    @TTLCache.cached("user:{user_id}:{region}:{full}", 60)
    def load(user_id, region="eu", *, full=False):
        loads.append((user_id, region, full))
        return len(loads)

    loads = []
    name = "".join(["user", "_id"])
    for call in (
        lambda: load(7),
        lambda: load(7, "eu"),
        lambda: load(user_id=7),
        lambda: load(region="eu", user_id=7),
        lambda: load(7, full=False),
        lambda: load(**{name: 7, "full": False}),
        lambda: load.__call__(7),
        lambda: functools.partial(load, 7)(region="eu"),
        lambda: next(map(load, [7])),
    ):
        assert call() == 1
        assert call() == 1

    assert loads == [(7, "eu", False)]
    assert load(7, full=True) == load(7, "eu", full=True) == 2


@pytest.mark.parametrize("key", ["{user_id}", "{}", "fixed", None])
def test_a_call_that_does_not_fit_raises_as_the_function_does(key):
    def user(user_id, /, region="eu", *, full=False):
        return (user_id, region, full)

    load = (cache(60) if key is None else TTLCache.cached(key, 60))(user)
    load(1)

    for args, kwargs in (
        ((), {}),
        ((1, "eu", True), {}),
        ((1,), {"unknown": 1}),
        ((1, "eu"), {"region": "us"}),
        ((), {"user_id": 1}),
        ((1,), {"user_id": 1}),
    ):
        with pytest.raises(TypeError) as ours:
            load(*args, **kwargs)
        with pytest.raises(TypeError) as plain:
            user(*args, **kwargs)
        assert str(ours.value) == str(plain.value)


def test_a_keyword_may_be_called_as_a_parameter_that_is_given_by_position():
    @TTLCache.cached("{}", 60)
    def load(a, /, **named):
        loads.append((a, named))
        return len(loads)

    loads = []

    assert load(1, a=2) == load(1, a=2) == load(1) == 1


def test_what_wraps_another_function_may_be_called_in_its_own_way():
    def with_connection(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            return function("connection", *args, **kwargs)

        return call

    @TTLCache.cached("user:{}", 60)
    @with_connection
    def user(connection, user_id):
        loads.append((connection, user_id))
        return user_id

    loads = []

    assert [user(5), user(5), user(6)] == [5, 5, 6]
    assert loads == [("connection", 5), ("connection", 6)]


def test_any_number_of_arguments_reaches_the_loader():
    load, loads = counted(cache(60), lambda *args, **kwargs: None)

    many = tuple(range(20))
    named = {f"name{at}": at for at in range(20)}
    for _ in range(2):
        load(*many, **named)

    assert loads == [(many, named)]


@pytest.mark.parametrize("key", [None, "{}:{}", "{a}"])
def test_arguments_without_a_parameter_are_told_apart_where_the_key_takes_them(key):
    @(cache(60) if key is None else TTLCache.cached(key, 60))
    def load(a, *rest, **named):
        return (a, rest, named)

    calls = [((1, 2), {}), ((1, 3), {}), ((1, 2, 3), {}), ((1, 2), {"x": 1}), ((1, 2), {"x": 2}), ((1, 2), {"y": 1})]
    for args, kwargs in calls * 2:
        found = load(*args, **kwargs)
        assert found[0] == 1
        if key is None:
            assert found == (args[0], args[1:], kwargs)
        elif key == "{}:{}":
            assert found[1][0] == args[1]


def test_methods_find_their_entries_however_they_are_called():
    class Api:
        def __init__(self):
            self.loads = []

        @TTLCache.cached("item:{}:{}:{}:{}:{}:{}:{}:{}", 60)
        def item(self, a, b=0, c=0, d=0, e=0, f=0, g=0, h=0):
            self.loads.append((a, b, c, d, e, f, g, h))
            return a

    api = Api()
    bound = api.item

    for _ in range(2):
        assert api.item(1) == bound(1) == Api.item(api, 1) == bound(a=1) == bound.__call__(1) == 1
        assert bound(1, 0, 0, 0, 0, 0, 0, 0) == bound(1, 0, 0, 0, 0, 0, 0, h=0) == 1

    assert api.loads == [(1, 0, 0, 0, 0, 0, 0, 0)]


# ---- arguments that run code of their own


class Text(str):
    """A subclass of a plain type: what it writes is its own business."""

    def __format__(self, _spec):
        return "always the same"

    __hash__ = str.__hash__


class Number(int):
    def __str__(self):
        return "number"

    def __format__(self, spec):
        return "number"


def test_subclasses_of_plain_types_write_their_own_text():
    load, loads = echo(TTLCache.cached("{}", 60))

    assert load(Text("a")) == load(Text("b")) == "a"
    assert load(Number(1)) == load(Number(2)) == load("number") == 1
    assert load("a") == "a"
    assert loads == ["a", 1, "a"]


def test_an_argument_that_changes_the_cache_while_it_is_looked_at():
    class Meddler:
        def __format__(self, _spec):
            load.clear()
            load.invalidate("x")
            load("x")
            for at in range(50):
                load.store.set(f"v:{at}", at, 60)
            gc.collect()
            return "meddler"

    load, loads = echo(TTLCache.cached("v:{}", 60, cache=InMemCache(max_entries=10)))
    meddler = Meddler()

    for _ in range(20):
        assert load(meddler) is meddler
        assert load("x") == "x"
    assert loads.count(meddler) == 20


def test_an_argument_whose_text_raises_raises():
    class Broken:
        def __format__(self, _spec):
            raise LookupError("no text")

    load, loads = echo(TTLCache.cached("{}", 60))

    for _ in range(3):
        with pytest.raises(LookupError, match="no text"):
            load(Broken())
    assert loads == []


def test_equal_hashes_and_lying_equality_confuse_nothing():
    class Liar:
        def __init__(self, name):
            self.name = name

        def __hash__(self):
            return 1

        def __eq__(self, other):
            return True

        def __str__(self):
            return self.name

    load, loads = echo(TTLCache.cached("{}", 60))
    liars = [Liar(name) for name in "abc"]

    for liar in liars * 3:
        assert load(liar) is liar
    assert loads == liars


def test_lone_surrogates_are_an_error_and_no_crash():
    load, _ = echo(TTLCache.cached("{}", 60))

    for _ in range(2):
        with pytest.raises(UnicodeEncodeError):
            load("\ud800")


# ---- what is counted


def test_hits_are_counted_everywhere_they_are_asked_for():
    store = InMemCache()
    metrics = InMemoryMetrics()
    load, _ = echo(TTLCache.cached("{}", 60, cache=store, metrics=metrics))

    for _ in range(11):
        load(1)

    assert load.cache_info()[:2] == (10, 1)
    assert store.stats()["hit"] == store.stats()["tiers"]["l1"]["hits"] == 10
    assert metrics.get_stats()["caches"]["load"]["hits"] == 10


def test_a_collector_of_ones_own_is_told_of_every_hit():
    class Told:
        def __init__(self):
            self.keys = []

        def record_hit(self, cache_name, key=None, metadata=None):
            self.keys.append(key)
            if len(self.keys) == 3:
                raise LookupError("enough")

        def __getattr__(self, name):
            return lambda *args, **kwargs: None

    told = Told()
    load, _ = echo(TTLCache.cached("v:{}", 60, metrics=told))

    load(1), load(1), load("é"), load("é")
    with pytest.raises(LookupError):
        load(1)
    assert told.keys == ["v:1", "v:é", "v:1"]


# ---- stale hits


def test_stale_hits_do_not_wait_and_are_counted():
    store = InMemCache()
    go, started, loads = threading.Event(), threading.Event(), []

    @SWRCache.cached("{}", 0.05, 3600, cache=store)
    def load(value):
        loads.append(value)
        if len(loads) == 2:
            started.set()
            go.wait()
        return len(loads)

    assert load(1) == 1
    wait_until(lambda: store.get("1") is None)
    assert load(1) == 1
    started.wait()

    assert [load(1) for _ in range(100)] == [1] * 100

    assert load.cache_info().stale == 101
    assert store.stats()["stale"] == 101
    go.set()
    wait_until(lambda: load(1) > 1)


def test_a_refresh_whose_event_loop_was_closed_is_done_by_another():
    loads = []

    @SWRCache.cached("{}", 0.02, 3600)
    async def load(value):
        loads.append(value)
        if len(loads) == 2:
            await asyncio.sleep(3600)
        return len(loads)

    first = asyncio.new_event_loop()
    first.run_until_complete(load(1))
    wait_until(lambda: first.run_until_complete(load(1)) == 1 and len(loads) == 2)
    first.close()

    second = asyncio.new_event_loop()
    wait_until(lambda: second.run_until_complete(load(1)) > 1)
    second.close()


def test_a_stale_entry_whose_refresh_failed_is_refreshed_again():
    store = InMemCache()
    loads = []

    @SWRCache.cached("{}", 0.02, 3600, cache=store)
    def load(value):
        loads.append(value)
        if len(loads) in (2, 3, 4):
            raise OSError("down")
        return len(loads)

    load(1)
    wait_until(lambda: store.get("1") is None)
    wait_until(lambda: load(1) >= 5)

    assert load(1) >= 5


def test_a_reader_without_a_stale_window_is_not_served_what_another_refreshes():
    store = InMemCache()
    go, started, loads = threading.Event(), threading.Event(), []

    @SWRCache.cached("k", 0.05, 3600, cache=store)
    def patient():
        loads.append(1)
        if len(loads) > 1:
            started.set()
            go.wait()
        return len(loads)

    patient()
    wait_until(lambda: store.get("k") is None)
    patient()
    started.wait()

    assert store.get("k") is None
    assert patient() == 1
    go.set()


# ---- async hits


def test_async_hits_can_be_awaited_like_any_coroutine():
    @TTLCache.cached("{}", 60)
    async def load(value):
        return results[value]

    error = LookupError("a value")
    results = {1: "text", 2: ("a", "tuple"), 3: (), 4: error, 5: None, 6: StopIteration("no end")}

    async def main():
        for value, result in results.items():
            for _ in range(2):
                assert await load(value) is result
                assert (await asyncio.gather(load(value), load(value)))[1] is result
                assert await asyncio.create_task(load(value)) is result
                assert await asyncio.wait_for(load(value), 1000) is result
        done = load(1)
        await done
        with pytest.raises(RuntimeError):
            await done

    asyncio.run(main())


def test_a_hit_that_nobody_awaits_lets_go_of_its_value():
    @TTLCache.cached("{}", 60)
    async def load(value):
        return Value(value)

    async def main():
        watch = weakref.ref(await load(1))
        hit = load(1)
        load.store.delete("1")
        assert watch() is not None
        hit.close()
        assert watch() is None

    asyncio.run(main())


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


def test_a_closed_store_answers_nothing():
    store = InMemCache()
    load, _ = echo(TTLCache.cached("{}", 60, cache=store))
    load(1), load(1)

    store.close()

    with pytest.raises(undercroft.errors.Closed):
        load(1)
    with pytest.raises(undercroft.errors.Closed):
        store.get("1")


def test_a_reader_reads_what_the_writer_wrote():
    numbers = itertools.count(1)

    @BGCache.register_writer("hits:numbers", 0.02)
    def write():
        return next(numbers)

    read = BGCache.get_reader("hits:numbers", interval_seconds=0.02)

    assert read() >= 1
    wait_until(lambda: read() >= 3)
    assert read.__call__() >= 3
    with pytest.raises(TypeError):
        read(1)
