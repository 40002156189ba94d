"""Far tiers beside forks, event loops, threads, metrics and other serializers."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest
from buckets import fresh_bucket, open_store
from proxy import Delay, Hang, Proxy
from undercroft import BGCache, InMemCache, InMemoryMetrics, SWRCache, TTLCache


def fork(child):
    """Runs `child` in a fork, and returns what it returns as its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(child())
        except BaseException:  # noqa: BLE001
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(s3s):
    store = open_store(s3s, on_error="raise")
    store.set_many({f"k{at}": at for at in range(50)})

    def child():
        found = store.get_many([f"k{at}" for at in range(50)])
        store.set("child", [1])
        return 7 if found == {f"k{at}": at for at in range(50)} else 1

    assert fork(child) == 7
    assert store.get("child") == [1]
    assert fork(child) == 7


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_requests_are_under_way(s3s):
    store = open_store(s3s, on_error="raise", concurrency=4)
    store.set_many({f"k{at}": at for at in range(20)})
    done = threading.Event()

    def read():
        while not done.is_set():
            store.get_many([f"k{at}" for at in range(20)])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        codes = [fork(lambda: 0 if len(store.get_many([f"k{at}" for at in range(20)])) == 20 else 1) for _ in range(8)]
    finally:
        done.set()
        for reader in readers:
            reader.join()

    assert codes == [0] * 8


def test_an_event_loop_goes_on_while_a_tier_is_slow(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url)
        store.set("k", "v")
        proxy.fault(Delay(0.3), times=1)

        async def run():
            reading = asyncio.ensure_future(store.get_async("k"))
            turns = 0
            while not reading.done():
                turns += 1
                await asyncio.sleep(0.001)
            return turns, await reading

        turns, value = asyncio.run(run())

    assert value == "v"
    assert turns > 20


def test_a_cancelled_call_gives_its_place_to_others(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, concurrency=1, timeout=30, on_error="raise")
        store.set("k", "v")
        proxy.fault(Hang(), times=1, method="GET")

        async def run():
            hung = asyncio.ensure_future(store.get_async("k"))
            while not any(seen.method == "GET" for seen in proxy.log):
                await asyncio.sleep(0.005)
            hung.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hung
            return await store.get_async("k")

        assert asyncio.run(run()) == "v"


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_small_limit_stops_no_large_object(moto, concurrency):
    store = open_store(moto, concurrency=concurrency, serializer="raw", compress=False, on_error="raise")
    value = os.urandom(20 * 1024 * 1024)

    store.set("large", value)

    assert store.get("large") == value


def test_fifty_threads_and_one_missing_key_are_one_load(s3s):
    store, calls = open_store(s3s), []

    @TTLCache.cached("k:{}", ttl=60, cache=store)
    def load(number):
        calls.append(number)
        time.sleep(0.05)
        return number

    threads = [threading.Thread(target=load, args=(1,)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert calls == [1]


def test_stale_values_are_refreshed_again_and_again(s3s):
    store, calls = open_store(s3s), []

    @SWRCache.cached("k", ttl=0.05, stale_ttl=60, cache=store)
    def load():
        calls.append(1)
        return len(calls)

    load()
    for wanted in (2, 3, 4):
        deadline = time.monotonic() + 30
        while len(calls) < wanted and time.monotonic() < deadline:
            time.sleep(0.06)
            load()

    assert len(calls) >= 4


def test_a_writer_and_its_readers_share_a_bucket(s3s):
    bucket = fresh_bucket(s3s)

    @BGCache.register_writer("config", interval_seconds=300, run_immediately=True, cache=open_store(s3s, bucket))
    def refresh():
        return {"a": 1}

    reader = BGCache.get_reader("config", interval_seconds=300, cache=open_store(s3s, bucket))

    assert reader() == {"a": 1}


class Shout:
    """A serializer of a user's own."""

    @staticmethod
    def dumps(value):
        return value.upper().encode()

    @staticmethod
    def loads(data):
        return data.decode().lower()


def test_a_serializer_of_ones_own(s3s):
    bucket, serializer = fresh_bucket(s3s), Shout()
    open_store(s3s, bucket, serializer=serializer).set("k", "hello")

    assert open_store(s3s, bucket, serializer=serializer).get("k") == "hello"
    assert open_store(s3s, bucket, serializer="raw").get("k") is None


def test_what_tiers_cost_is_in_the_metrics(s3s):
    metrics = InMemoryMetrics()

    @TTLCache.cached("k:{}", ttl=60, cache=open_store(s3s), metrics=metrics)
    def load(number):
        return number

    load(1)

    tier = metrics.get_stats()["tiers"]["load"]["l1"]
    assert tier["requests"] == {"get": 1, "put": 1}
    assert tier["cost"] == pytest.approx(0.4e-6 + 5e-6)


def test_prometheus_reads_what_tiers_cost(s3s):
    client = pytest.importorskip("prometheus_client")
    from undercroft.exporters.prometheus import PrometheusMetrics

    registry = client.CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry)

    @TTLCache.cached("k:{}", ttl=60, cache=open_store(s3s), metrics=metrics)
    def load(number):
        return number

    load(1)

    labels = {"cache": "load", "tier": "l1", "operation": "put"}
    assert registry.get_sample_value("undercroft_tier_requests_total", labels) == 1
    assert registry.get_sample_value("undercroft_tier_cost_dollars_total", {"cache": "load", "tier": "l1"}) > 0


def test_memory_alone_costs_nothing():
    metrics = InMemoryMetrics()

    @TTLCache.cached("k:{}", ttl=60, cache=InMemCache(), metrics=metrics)
    def load(number):
        return number

    load(1)

    assert "requests" not in metrics.get_stats()["tiers"]["load"]["l1"]
