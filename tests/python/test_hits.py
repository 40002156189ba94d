"""Hits: what they return and count, fresh, stale and awaited."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref

import pytest
from loading import Value, echo
from waiting import wait_until

import undercroft
from undercroft import BGCache, InMemCache, InMemoryMetrics, SWRCache, TTLCache

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


# ---- stores and readers


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
