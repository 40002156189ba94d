"""Far tiers beside forks, event loops, threads, metrics and other serializers."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import threading
import time

import pytest
import tls
from buckets import fresh_bucket, open_store
from proxy import Answer, Delay, Hang, Proxy, Reset, Rewrite
from servers import make_bucket
from undercroft import BGCache, InMemCache, InMemoryMetrics, S3Cache, SWRCache, TTLCache


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


@pytest.mark.parametrize("compress", [True, False, "zstd"])
@pytest.mark.parametrize("expired", [True, False])
def test_one_of_many_claims_a_key(moto, expired, compress):
    make_bucket(moto, "claims")
    stores = [open_store(moto, "claims", on_error="raise", compress=compress) for _ in range(8)]
    for attempt in range(3):
        key, won, begin = f"{expired}{compress}{attempt}", [], threading.Barrier(8)
        if expired:
            assert stores[0].set_if_not_exists(key, "locked", 0.001)
            time.sleep(0.01)

        def claim(store, key=key, won=won, begin=begin):
            begin.wait()
            # The same value from everybody, and as before: nothing but the claim itself tells them apart.
            won.append(store.set_if_not_exists(key, "locked", 60))

        threads = [threading.Thread(target=claim, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert won.count(True) == 1
        assert stores[0].get(key) == "locked"


def test_a_claim_whose_answer_was_lost_is_won(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, on_error="raise", backoff=0.001)
        proxy.fault(Reset(), times=1, method="PUT")

        assert store.set_if_not_exists("k", 1, 60)
        assert not store.set_if_not_exists("k", 1, 60)


def test_a_range_that_is_not_served_is_read_whole(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, on_error="raise", serializer="raw", compress=False)
        value = os.urandom(20 * 1024 * 1024)
        store.set("large", value)
        proxy.fault(Rewrite({"Content-Range": None}), times=None, method="GET")

        assert store.get("large") == value


def test_anonymous_stores_list_too(moto):
    with Proxy(moto.url) as proxy:
        store = S3Cache(fresh_bucket(moto), endpoint_url=proxy.url, anonymous=True, on_error="raise", retries=0)
        proxy.fault(Answer(200, {}, LISTED), times=1, method="GET")

        assert store.clear("a") == 0
        assert "authorization" not in proxy.log[0].headers


LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


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


OVER_TLS = """
import sys
from undercroft import S3Cache
store = S3Cache("over-tls", endpoint_url=sys.argv[1], region="us-east-1", access_key_id="a", secret_access_key="b",
                on_error="raise", retries=0, serializer="raw", compress=False)
store.set("k", b"value")
assert store.get("k") == b"value"
store.set("long", bytes(9 * 1024 * 1024))
assert store.get("long") == bytes(9 * 1024 * 1024)
"""


def test_over_tls_the_body_is_covered_by_a_checksum(moto, tmp_path):
    authority, certificate = tls.certificates(tmp_path)
    make_bucket(moto, "over-tls")
    command = [sys.executable, "-c", OVER_TLS]
    with Proxy(moto.url) as proxy, tls.Tls(proxy.url, certificate) as listener:
        known = {**os.environ, "AWS_CA_BUNDLE": str(authority)}
        subprocess.run([*command, listener.url], env=known, check=True)

        put = next(seen for seen in proxy.log if seen.method == "PUT")
        assert put.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
        # The CRC-32C of `value`.
        assert base64.b64decode(put.headers["x-amz-checksum-crc32c"]) == (0xE1E00363).to_bytes(4, "big")

        parts = [seen for seen in proxy.log if "partNumber" in seen.query]
        assert len(parts) == 2
        assert all(seen.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD" for seen in parts)
        assert all("x-amz-checksum-crc32c" in seen.headers for seen in parts)

        stranger = subprocess.run([*command, listener.url], capture_output=True, text=True, check=False)
        assert "Unavailable" in stranger.stderr
        assert "certificate" in stranger.stderr
