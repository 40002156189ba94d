"""What a case cannot say: stampedes, cancellation, exceptions and context."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest
from undercroft import (
    Cache,
    ChainCache,
    InMemCache,
    LocalFileCache,
    SWRCache,
    TTLCache,
    errors,
)
from undercroft.testing import ManualClock, faults, open_cache


def in_threads(count, function):
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(at):
        barrier.wait()
        try:
            results[at] = function()
        except Exception as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("kind", ["memory", "chain", "disk"])
def test_fifty_threads_on_a_cold_key_load_once(kind, tmp_path):
    stores = {
        "memory": InMemCache,
        "chain": lambda: ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 60)]),
        "disk": lambda: LocalFileCache(tmp_path),
    }
    loads = []

    @TTLCache.cached("k", 60, cache=stores[kind])
    def load():
        loads.append(1)
        time.sleep(0.05)
        return "value"

    assert in_threads(50, load) == ["value"] * 50
    assert len(loads) == 1


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_two_hundred_tasks_on_a_cold_key_load_once(kind, tmp_path):
    loads = []

    @TTLCache.cached("k", 60, cache=InMemCache() if kind == "memory" else LocalFileCache(tmp_path))
    async def load():
        loads.append(1)
        await asyncio.sleep(0.05)
        return "value"

    async def run():
        assert await asyncio.gather(*(load() for _ in range(200))) == ["value"] * 200

    asyncio.run(run())
    assert len(loads) == 1


def test_event_loops_in_several_threads_share_one_load():
    loads = []

    @TTLCache.cached("k", 60)
    async def load():
        loads.append(1)
        await asyncio.sleep(0.05)
        return "value"

    assert in_threads(5, lambda: asyncio.run(load())) == ["value"] * 5
    assert len(loads) == 1


def test_each_caller_gets_its_own_loaders_error():
    lock = threading.Lock()
    raised = []

    @TTLCache.cached("k", 60)
    def load():
        error = ValueError(f"number {len(raised)}")
        with lock:
            raised.append(error)
        time.sleep(0.01)
        raise error

    results = in_threads(8, load)
    assert len(raised) == 8
    assert {id(error) for error in results} == {id(error) for error in raised}


def test_a_cancelled_loader_hands_its_lease_on():
    async def run():
        started = []

        @TTLCache.cached("k", 60)
        async def load():
            started.append(1)
            if len(started) == 1:
                await asyncio.sleep(3600)
            return "value"

        first = asyncio.create_task(load())
        await asyncio.sleep(0.01)
        second = asyncio.create_task(load())
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second == "value"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert len(started) == 2

    asyncio.run(run())


def test_a_cancelled_waiter_disturbs_nobody():
    async def run():
        gate = asyncio.Event()

        @TTLCache.cached("k", 60)
        async def load():
            await gate.wait()
            return "value"

        first = asyncio.create_task(load())
        waiters = [asyncio.create_task(load()) for _ in range(3)]
        await asyncio.sleep(0.01)
        waiters[0].cancel()
        await asyncio.sleep(0.01)
        gate.set()
        assert await asyncio.gather(first, *waiters[1:]) == ["value"] * 3

    asyncio.run(run())


def test_wait_for_cancels_and_the_next_caller_loads():
    async def run():
        slow = [True]

        @TTLCache.cached("k", 60)
        async def load():
            if slow:
                await asyncio.sleep(3600)
            return "value"

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(load(), 0.02)
        slow.clear()
        assert await load() == "value"

    asyncio.run(run())


def test_no_call_blocks_the_event_loop(tmp_path):
    """While a store of the user's hangs, the loop goes on."""
    release = threading.Event()

    class Hanging:
        def __init__(self):
            self.data = {}

        def get(self, key):
            release.wait()
            return self.data.get(key)

        def set(self, key, value, ttl=0):
            self.data[key] = value

        def delete(self, key):
            self.data.pop(key, None)

        def exists(self, key):
            return key in self.data

        def set_if_not_exists(self, key, value, ttl):
            return self.data.setdefault(key, value) is value

    @TTLCache.cached("k", 60, cache=Hanging())
    async def load():
        return "value"

    async def run():
        task = asyncio.create_task(load())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        release.set()
        assert await task == "value"

    asyncio.run(run())


def test_context_reaches_the_loader():
    request = contextvars.ContextVar("request")

    @SWRCache.cached("k", 0.05, 60)
    def load():
        return request.get()

    request.set("first")
    assert load() == "first"
    time.sleep(0.1)
    request.set("second")
    assert load() == "first"
    while load() != "second":
        time.sleep(0.005)


def test_context_reaches_an_async_loader():
    request = contextvars.ContextVar("request")

    @TTLCache.cached("k:{}", 60, hard_timeout=60)
    async def load(a):
        return request.get()

    async def run():
        request.set("mine")
        assert await load(1) == "mine"

    asyncio.run(run())


def test_a_revoked_load_returns_its_value_and_stores_nothing():
    gate, started = threading.Event(), threading.Event()

    @TTLCache.cached("k", 60)
    def load():
        started.set()
        gate.wait()
        return "old"

    result = []
    thread = threading.Thread(target=lambda: result.append(load()))
    thread.start()
    started.wait()
    load.invalidate()
    gate.set()
    thread.join()

    assert result == ["old"]
    assert load.store.get("k") is None


def test_a_lease_that_is_forgotten_is_handed_on():
    cache = Cache(InMemCache(), ttl=60)
    found = cache.begin("k")
    assert found.state == "miss"
    del found

    assert cache.begin("k").state == "miss"


def test_a_cancelled_begin_leaves_the_queue():
    async def run():
        cache = open_cache({"tiers": ["memory://", {"url": "memory://", "name": "far"}]}, ManualClock())
        faults(cache, "far").plan("hang", "get", 1)
        hanging = asyncio.create_task(cache.begin_async("k"))
        await asyncio.sleep(0.01)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (await cache.begin_async("k")).state == "miss"

    asyncio.run(run())


def test_refreshes_that_wait_for_each_other_all_end():
    """As many as there are: none waits in a queue for a thread while others wait for it."""
    ready = threading.Barrier(13)

    @SWRCache.cached("far:{}", 0.05, 60)
    def far(a):
        return time.time()

    @SWRCache.cached("near:{}", 0.05, 60)
    def near(a):
        return far(a), far("shared")

    for number in range(12):
        near(number)
    time.sleep(0.1)
    threads = [threading.Thread(target=lambda n=n: (ready.wait(), near(n))) for n in range(12)]
    for thread in threads:
        thread.start()
    ready.wait()
    for thread in threads:
        thread.join()
    while near.store.stats()["flights"] or far.store.stats()["flights"]:
        time.sleep(0.005)


def test_a_loop_closed_with_a_refresh_pending_gives_its_lease_back():
    slow = [False]

    @SWRCache.cached("k", 0.05, 0.2)
    async def load():
        if slow[0]:
            await asyncio.sleep(3600)
        return time.time()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(load())
    time.sleep(0.1)
    slow[0] = True
    loop.run_until_complete(load())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    slow[0] = False
    time.sleep(0.3)

    assert asyncio.run(load())


def test_a_circle_through_gather_is_an_error():
    @TTLCache.cached("{}", 60)
    async def load(name):
        if name in ("x", "y"):
            await asyncio.sleep(0.01)
            return await asyncio.gather(load("y" if name == "x" else "x"), load(f"leaf-{name}"))
        return name

    async def run():
        return await asyncio.gather(load("x"), load("y"), return_exceptions=True)

    assert any(isinstance(result, errors.Conflict) for result in asyncio.run(run()))


def test_a_put_during_anothers_fulfil_stays(tmp_path):
    chain = ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 60)])
    far = LocalFileCache(tmp_path)

    @TTLCache.cached("k", 60, cache=chain)
    def load():
        return "loaded"

    for number in range(200):
        chain.delete("k")
        thread = threading.Thread(target=load)
        thread.start()
        chain.set("k", number, 60)
        thread.join()
        assert chain.get("k") == number
        assert far.get("k") == number
