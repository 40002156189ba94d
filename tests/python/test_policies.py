"""How long values live, and how long callers wait."""

from __future__ import annotations

import asyncio
import datetime
import math
import time

import pytest
import undercroft
from undercroft import (
    CacheEntry,
    ChainCache,
    HybridCache,
    InMemCache,
    LocalFileCache,
    SWRCache,
    TTLCache,
    errors,
)
from waiting import Calls, wait_until


@pytest.mark.parametrize("ttl", [0, -1, 0.0, datetime.timedelta(0)])
def test_a_ttl_of_zero_or_less_passes_through(ttl):
    calls = Calls()

    @TTLCache.cached("k", ttl)
    def function():
        return calls()

    function()
    function()
    assert calls.count == 2


def test_a_ttl_of_zero_passes_through_async():
    calls = Calls()

    @SWRCache.cached("k", 0, 10)
    async def function():
        return calls()

    async def run():
        await function()
        await function()

    asyncio.run(run())
    assert calls.count == 2


@pytest.mark.parametrize("ttl", ["60", "soon", True, [], {}])
def test_a_ttl_that_is_no_number_is_refused(ttl):
    with pytest.raises(TypeError, match="`ttl`"):
        TTLCache.cached("k", ttl)(lambda: None)


def test_a_ttl_that_is_nan_is_refused():
    with pytest.raises(errors.ConfigInvalid, match="NaN"):
        TTLCache.cached("k", math.nan)(lambda: None)


def test_ttl_as_a_function_of_the_value():
    calls = Calls()

    @TTLCache.cached("k:{}", lambda value: 0 if value is None else 60)
    def find(name):
        return calls(name or None)

    find("a"), find("a")
    assert calls.count == 1
    find(""), find("")
    assert calls.count == 3


def test_cache_if():
    calls = Calls()

    @TTLCache.cached("k:{}", 60, cache_if=lambda value: value > 0)
    def find(number):
        return calls(number)

    find(1), find(1), find(-1), find(-1)
    assert calls.count == 3


def test_nothing_is_a_value():
    calls = Calls()

    @TTLCache.cached("k", 60)
    def find():
        return calls(None)

    assert find() is None
    assert find() is None
    assert calls.count == 1


def test_a_loader_may_take_the_old_value():
    @TTLCache.cached("k", 0.05, old="before", stale_if_error=60)
    def count(before=None):
        return (before or 0) + 1

    assert count() == 1
    time.sleep(0.1)
    assert count() == 2
    assert count() == 2


def test_expire_serves_on_and_refreshes():
    calls = Calls()

    @SWRCache.cached("k", 60, 60)
    def load():
        return calls(calls.count)

    assert load() == 0
    load.expire()
    assert load() == 0
    wait_until(lambda: load() == 1)


def test_refresh_ahead():
    calls = Calls()

    @TTLCache.cached("k", 1, refresh_ahead=0.1)
    def load():
        return calls(calls.count)

    assert load() == 0
    time.sleep(0.15)
    assert load() == 0
    wait_until(lambda: calls.count == 2)


def test_swr_serves_stale_and_refreshes_once():
    calls = Calls()

    @SWRCache.cached("k", 0.05, 60)
    def load():
        return calls(calls.count)

    for round_ in range(3):
        assert load() == round_
        time.sleep(0.1)
        assert load() == round_
        wait_until(lambda count=round_ + 2: calls.count == count)
        wait_until(lambda value=round_ + 1: load() == value)


def test_swr_async():
    calls = Calls()

    @SWRCache.cached("k", 0.05, 60)
    async def load():
        await asyncio.sleep(0)
        return calls(calls.count)

    async def run():
        assert await load() == 0
        await asyncio.sleep(0.1)
        assert await asyncio.gather(*(load() for _ in range(20))) == [0] * 20
        while await load() != 1:
            await asyncio.sleep(0.005)
        assert calls.count == 2

    asyncio.run(run())


def test_stale_if_error_serves_and_recovers():
    broken = []

    @TTLCache.cached("k", 0.05, stale_if_error=60)
    def load():
        if broken:
            raise ValueError("down")
        return "value"

    assert load() == "value"
    broken.append(1)
    time.sleep(0.1)
    assert load() == "value"
    load.invalidate()
    with pytest.raises(ValueError, match="down"):
        load()


def test_soft_timeout_serves_stale_and_the_load_goes_on():
    import threading

    gate = threading.Event()
    gate.set()
    calls = Calls()

    @TTLCache.cached("k", 0.05, stale_if_error=60, soft_timeout=0.05)
    def load():
        value = calls(calls.count)
        gate.wait()
        return value

    assert load() == 0
    gate.clear()
    time.sleep(0.1)
    assert load() == 0
    gate.set()
    wait_until(lambda: load.store.get("k") == 1)


def test_hard_timeout_raises_and_the_load_goes_on():
    import threading

    gate = threading.Event()

    @TTLCache.cached("k", 60, hard_timeout=0.05)
    def load():
        gate.wait()
        return 1

    with pytest.raises(errors.Timeout, match="`k`") as raised:
        load()
    assert isinstance(raised.value, TimeoutError)
    gate.set()
    wait_until(lambda: load.store.get("k") == 1)


def test_timeouts_async():
    async def run():
        gate = asyncio.Event()

        @TTLCache.cached("k", 60, hard_timeout=0.05)
        async def load():
            await gate.wait()
            return 1

        with pytest.raises(errors.Timeout):
            await load()
        gate.set()
        assert await load() == 1

    asyncio.run(run())


def test_skip_leaves_tiers_alone(tmp_path):
    calls = Calls()

    @TTLCache.cached("k:{}", 60, ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 3600)]))
    def load(a):
        return calls(a)

    load(1)
    assert load.skip("l1")(1) == 1
    assert calls.count == 1
    assert load.skip("l1", "l2")(1) == 1
    assert calls.count == 2
    with pytest.raises(errors.ConfigInvalid, match="l1, l2"):
        load.skip("l3")


def test_configure_makes_a_subclass_with_a_store():
    store = InMemCache()
    metrics = undercroft.InMemoryMetrics()
    mine = TTLCache.configure(cache=store, metrics=metrics)

    @mine.cached("k:{}", 60)
    def load(a):
        return a

    load(1), load(1)
    assert issubclass(mine, TTLCache)
    assert store.get("k:1") == 1
    assert load.store is store
    assert metrics.get_stats()["caches"]["load"]["hits"] == 1


def test_a_store_may_be_a_factory():
    made = []

    def factory():
        made.append(InMemCache())
        return made[-1]

    @TTLCache.cached("k", 60, cache=factory)
    def load():
        return 1

    load()
    assert made[0].get("k") == 1
    assert TTLCache.cached("k", 60, cache=InMemCache)(lambda: 2)() == 2


def test_what_is_no_store_is_refused():
    with pytest.raises(TypeError, match="`object` is no cache store"):
        TTLCache.cached("k", 60, cache=object())(lambda: None)


def test_hybrid_goes_to_its_second_level_when_the_first_has_forgotten(tmp_path):
    calls = Calls()
    hybrid = HybridCache(l1_cache=InMemCache(), l2_cache=LocalFileCache(tmp_path), l1_ttl=0.05, l2_ttl=3600)

    @TTLCache.cached("k", 3600, hybrid)
    def load():
        return calls({"n": 1})

    assert load() == {"n": 1}
    time.sleep(0.1)
    assert load() == {"n": 1}
    assert calls.count == 1
    tiers = load.cache_info().tiers
    assert tiers["l2"]["hits"] == 1


def test_settings_that_make_no_sense_are_refused_when_decorating():
    for settings in ({"jitter": 2.0}, {"refresh_ahead": 1.0}, {"stale_if_error": "x"}):
        with pytest.raises((errors.ConfigInvalid, TypeError)):
            TTLCache.cached("k", 60, **settings)(lambda: None)


def test_skip_on_a_method(tmp_path):
    class Service:
        @TTLCache.cached("{}", 60, ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 60)]))
        def find(self, number):
            return [number]

    service = Service()
    assert service.find(1) == service.find.skip("l1")(1) == [1]


def test_a_stale_copy_does_not_hide_a_fresh_one(tmp_path):
    chain, other = ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 60)]), LocalFileCache(tmp_path)
    now = time.time()
    chain.set_entry("k", CacheEntry("old", now + 0.05, now, now + 60))
    time.sleep(0.1)
    assert chain.get("k") is None
    assert not chain.exists("k")
    assert chain.get_entry("k").value == "old"
    other.set("k", "new", 60)
    assert chain.get("k") == "new"


def test_stale_as_a_timedelta():
    assert SWRCache.cached("k", datetime.timedelta(seconds=60), datetime.timedelta(seconds=60))(lambda: 1)() == 1


def test_a_spare_that_cannot_be_decoded_leaves_the_loaders_error(tmp_path):
    class Once:
        def dumps(self, value):
            return b"x"

        def loads(self, data):
            raise ValueError("not this")

    @TTLCache.cached("k", 0.03, LocalFileCache(tmp_path, serializer=Once()), stale_if_error=60)
    def load(fail=[]):
        if fail:
            raise KeyError("mine")
        fail.append(1)
        return 1

    assert load() == 1
    time.sleep(0.06)
    with pytest.raises(KeyError, match="mine"):
        load()
