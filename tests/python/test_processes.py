"""Forks and other processes after use."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import pytest
from undercroft import (
    ChainCache,
    InMemCache,
    LocalFileCache,
    TTLCache,
)


@TTLCache.cached("forked:{}", 60)
def square(n):
    return n * n


def _child(queue, folder):
    store = LocalFileCache(folder)
    queue.put((square(3), square(4), store.get("k"), store.set("child", 1), asyncio.run(_async_child(store))))


async def _async_child(store):
    return await store.get_async("k")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_works_after_use(method, tmp_path):
    store = LocalFileCache(tmp_path)
    store.set("k", "v")
    assert square(3) == 9
    asyncio.run(_async_child(store))

    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue, str(tmp_path)))
    child.start()
    assert queue.get() == (9, 16, "v", None, "v")
    child.join()

    assert child.exitcode == 0
    assert store.get("child") == 1


def fork(child):
    """Run `child` in a fork, and return what it returns as its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(child())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_under_load_leaves_nothing_locked(tmp_path):
    """Other threads are in the middle of everything while the process forks."""
    chain = ChainCache([(InMemCache(max_entries=50), 60), (LocalFileCache(tmp_path), 60)])
    stop = threading.Event()

    @TTLCache.cached("k:{}", 0.02, cache=chain)
    def load(a):
        return a

    def busy():
        number = 0
        while not stop.is_set():
            load(number % 100)
            chain.delete(f"k:{number % 7}")
            number += 1

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            assert fork(lambda: 0 if [load(a) for a in range(100)] == list(range(100)) else 1) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_flight_of_the_parent_does_not_hold_the_child_up():
    gate = threading.Event()

    @TTLCache.cached("k", 60)
    def load():
        gate.wait()
        return os.getpid()

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.05)

    def child():
        gate.set()
        return 0 if load() == os.getpid() else 1

    assert fork(child) == 0
    gate.set()
    thread.join()
    assert load() == os.getpid()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_refreshes_what_its_parent_was_refreshing():
    from undercroft import InMemCache, SWRCache

    store = InMemCache()
    go, started, loads = threading.Event(), threading.Event(), []

    @SWRCache.cached("k", 0.05, 3600, cache=store)
    def load():
        loads.append(os.getpid())
        if len(loads) == 2:
            started.set()
            go.wait()
        return len(loads)

    load()
    while store.get("k") is not None:
        time.sleep(0.005)
    assert load() == 1
    started.wait()

    def child():
        while load() < 3:
            time.sleep(0.005)
        return 0

    assert fork(child) == 0
    go.set()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_has_ended_leaves_the_memory_of_a_child():
    from undercroft import InMemCache, TTLCache

    store = InMemCache()
    load = TTLCache.cached("{}", None, cache=store)(lambda value: value)
    for at in range(100):
        store.set(f"k:{at}", at, 0.5)

    def child():
        load("another")
        while store.near_usage()[0] > 1:
            time.sleep(0.01)
        return 0

    assert fork(child) == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_background_refreshes_go_on_in_a_child():
    from undercroft import BGCache

    loads = []

    @BGCache.register_loader("forked-bg", interval_seconds=0.05)
    def load():
        loads.append(os.getpid())
        return len(loads)

    assert load() >= 1

    def child():
        before = len(loads)
        while len(loads) < before + 2:
            time.sleep(0.01)
        return 0

    assert fork(child) == 0


def test_the_interpreter_ends_well_while_a_users_store_is_called():
    script = """
import asyncio, time, builtins
from undercroft import TTLCache
class Slow:
    def get(self, key): time.sleep(0.3)
    def set(self, key, value, ttl=0): time.sleep(0.3)
    def delete(self, key): pass
    def exists(self, key): return False
    def set_if_not_exists(self, key, value, ttl): return False
@TTLCache.cached("k", 60, cache=Slow())
async def load(): return 1
async def main():
    task = asyncio.create_task(load())
    await asyncio.sleep(0.1)
asyncio.run(main())
class Linger:
    def __del__(self): time.sleep(0.5)
builtins.linger = Linger()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
