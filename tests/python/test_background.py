"""Loading in the background: loaders, writers, readers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from undercroft import BGCache, InMemCache, InMemoryMetrics, LocalFileCache, bg


def wait_until(claim):
    while not claim():
        time.sleep(0.005)


def test_a_loader_runs_now_and_on_schedule():
    loads = []

    @BGCache.register_loader("k", interval_seconds=0.05)
    def load():
        loads.append(1)
        return len(loads)

    assert len(loads) == 1
    assert load() == 1
    wait_until(lambda: load() >= 3)


def test_a_warm_store_is_refreshed_on_schedule(tmp_path):
    store, loads = LocalFileCache(tmp_path), []
    store.set("k", "warm", ttl=60)

    @BGCache.register_loader("k", interval_seconds=0.05, cache=store)
    def load():
        loads.append(1)
        return "new"

    assert loads == []
    assert load() == "warm"
    wait_until(lambda: load() == "new")


def test_not_immediately_is_still_on_schedule():
    loads = []

    @BGCache.register_loader("k", interval_seconds=0.05, run_immediately=False)
    def load():
        loads.append(1)
        return len(loads)

    assert loads == []
    wait_until(lambda: len(loads) >= 2)
    assert load() >= 2


def test_on_error_is_called_and_the_last_value_kept():
    heard, broken = [], []

    @BGCache.register_loader("k", interval_seconds=0.02, ttl=0.02, on_error=heard.append)
    def load():
        if broken:
            raise ValueError("down")
        return "value"

    assert load() == "value"
    broken.append(1)
    wait_until(lambda: len(heard) >= 3)
    assert load() == "value"
    assert all(isinstance(error, ValueError) for error in heard)
    broken.clear()
    count = load.cache_info().loads
    wait_until(lambda: load.cache_info().loads > count)


@pytest.mark.parametrize(("interval", "ttl"), [(0, None), (-1, None), (10, 0)])
def test_no_interval_passes_through(interval, ttl):
    loads = []

    @BGCache.register_loader("k", interval_seconds=interval, ttl=ttl)
    def load():
        loads.append(1)

    load(), load()
    assert len(loads) == 2


def test_an_async_loader_registered_before_any_loop():
    loads = []

    @BGCache.register_loader("k", interval_seconds=0.05)
    async def load():
        await asyncio.sleep(0)
        loads.append(1)
        return len(loads)

    wait_until(lambda: asyncio.run(load()) >= 2)


def test_an_async_loader_registered_inside_a_loop_runs_there():
    async def run():
        here, loops = asyncio.get_running_loop(), []

        @BGCache.register_loader("k", interval_seconds=0.02)
        async def load():
            loops.append(asyncio.get_running_loop())
            return len(loops)

        while len(loops) < 3:
            await asyncio.sleep(0.01)
        assert set(loops) == {here}
        assert await load() >= 3
        BGCache.shutdown()

    asyncio.run(run())


def test_one_writer_for_a_key():
    @BGCache.register_writer("k", interval_seconds=10)
    def write():
        return 1

    with pytest.raises(ValueError, match="`k` has a writer already"):
        BGCache.register_writer("k", interval_seconds=10)(write)
    BGCache.shutdown()
    BGCache.register_writer("k", interval_seconds=10)(lambda: 2)


def test_the_documents_writer_and_reader():
    @BGCache.register_writer("daily_config", interval_seconds=300, run_immediately=True, cache=InMemCache())
    def refresh_config():
        return {"big": "config"}

    get_config = BGCache.get_reader("daily_config", cache=InMemCache())
    assert get_config() == {"big": "config"}
    assert refresh_config() == {"big": "config"}


def test_a_reader_without_a_writer_finds_nothing_and_later_something():
    store = InMemCache()
    read = BGCache.get_reader("k", interval_seconds=0.05, cache=store)
    assert read() is None
    store.set("k", "there")
    assert read() == "there"
    store.set("k", "new")
    wait_until(lambda: read() == "new")


def test_a_reader_of_another_process(tmp_path):
    script = """
import sys, undercroft
@undercroft.bg.write(60, key="prices", store=undercroft.LocalFileCache(sys.argv[1]))
def refresh(): return {"EUR": 1.1}
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    read = bg.read("prices", interval=60, store=LocalFileCache(tmp_path))
    assert read() == {"EUR": 1.1}


def test_the_one_symbol_style():
    @bg(10, key="config")
    def load():
        return {"a": 1}

    @bg.write(10, key="prices")
    async def write():
        return [1]

    assert load() == {"a": 1}
    read = bg.read("prices")
    wait_until(lambda: read() == [1])
    bg.shutdown(wait=True)


def test_shutdown_ends_the_schedule():
    loads = []

    @BGCache.register_loader("k", interval_seconds=0.02)
    def load():
        loads.append(1)

    BGCache.shutdown()
    count = len(loads)
    time.sleep(0.1)
    assert len(loads) == count


def test_configure_and_metrics():
    store, metrics = InMemCache(), InMemoryMetrics()
    mine = BGCache.configure(cache=store, metrics=metrics)

    @mine.register_loader("k", interval_seconds=10)
    def load():
        return 1

    load()
    assert store.get("k") == 1
    stats = metrics.get_stats()
    assert stats["background_refresh"]["k"] == {"success": 1, "failure": 0}
    assert stats["caches"]["k"]["hits"] == 1
    assert mine.get_reader("k")() == 1
