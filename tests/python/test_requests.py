"""What each operation costs in requests and bytes, counted by a proxy before the server."""

from __future__ import annotations

import os
import time

import pytest
from buckets import fresh_bucket, open_store
from proxy import Answer, Corrupt, Proxy, Rewrite
from undercroft import CacheEntry, TTLCache, errors

TEN_MIB = 10 * 1024 * 1024


@pytest.fixture(params=["moto", "s3s"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(server):
    with Proxy(server.url) as proxy:
        yield proxy


def asked(proxy):
    """Returns the methods of the requests since the last look, and forgets them."""
    methods = [seen.method for seen in proxy.log]
    proxy.clear()
    return methods


def test_a_read_is_one_request(server, proxy):
    store = open_store(server, url=proxy.url, revalidate=0)
    store.set("k", "v", ttl=60)
    assert asked(proxy) == ["PUT"]

    assert store.get("k") == "v"
    assert asked(proxy) == ["GET"]

    assert store.get("missing") is None
    assert asked(proxy) == ["GET"]

    assert store.exists("k")
    assert not store.exists("missing")
    assert asked(proxy) == ["HEAD", "HEAD"]


def test_the_body_of_an_expired_entry_is_not_transferred(server, proxy):
    store = open_store(server, url=proxy.url, serializer="raw", compress=False)
    past = time.time() - 60
    store.set_entry("k", CacheEntry(os.urandom(TEN_MIB), past, past - 60))
    proxy.clear()

    assert store.get("k") is None

    (seen,) = proxy.log
    assert seen.method == "GET"
    assert seen.received < TEN_MIB / 8


def test_a_value_that_was_read_is_confirmed_and_not_sent_again(moto):
    # S3 says with a 304 when the object changed; moto leaves that out.
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, serializer="raw", compress=False)
        value = os.urandom(100_000)
        store.set("k", value, ttl=60)
        proxy.fault(Rewrite({"Last-Modified": "Fri, 20 Nov 2026 12:00:00 GMT"}), times=None, method="GET")
        proxy.clear()

        assert [store.get("k") for _ in range(3)] == [value] * 3

        assert [(seen.status, seen.received) for seen in proxy.log] == [(200, 100_000), (304, 0), (304, 0)]


def test_a_service_that_does_not_say_when_is_asked_twice_for_what_is_large(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, serializer="raw", compress=False)
        small, large = os.urandom(10_000), os.urandom(1_000_000)
        store.set_many({"small": small, "large": large}, ttl=60)
        proxy.fault(Rewrite({"Last-Modified": "Fri, 20 Nov 2026 12:00:00 GMT"}), times=2, method="GET")
        store.get_many(["small", "large"])
        assert store.get("large") == large
        proxy.clear()

        assert store.get("large") == large
        assert [(seen.method, seen.status) for seen in proxy.log] == [("GET", 304), ("HEAD", 200)]
        proxy.clear()

        assert store.get("small") == small
        assert [(seen.method, seen.status) for seen in proxy.log] == [("GET", 200)]


def test_what_has_just_been_written_is_not_taken_for_unchanged(moto):
    # A renewal within the second of the write changes neither tag nor time.
    bucket = fresh_bucket(moto)
    ours, theirs = open_store(moto, bucket), open_store(moto, bucket)
    now = time.time()
    theirs.set_entry("k", CacheEntry("v" * 2000, now + 60, now, now + 600))
    assert ours.get("k") == "v" * 2000

    theirs.expire("k")

    assert ours.get("k") is None
    assert ours.get_entry("k").value == "v" * 2000


def test_a_copy_that_is_over_does_not_hide_a_renewal(moto):
    with Proxy(moto.url) as proxy:
        bucket = fresh_bucket(moto)
        ours, theirs = open_store(moto, bucket, url=proxy.url), open_store(moto, bucket)
        proxy.fault(Rewrite({"Last-Modified": "Fri, 20 Nov 2026 12:00:00 GMT"}), times=None, method="GET")
        theirs.set("k", "v" * 2000, ttl=0.3)
        assert ours.get("k") == "v" * 2000
        time.sleep(0.35)

        theirs.set("k", "v" * 2000, ttl=600)

        assert ours.get("k") == "v" * 2000


def test_a_body_that_was_damaged_on_its_way_is_not_kept(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, serializer="raw", compress=False)
        value = os.urandom(100_000)
        store.set("k", value)
        proxy.fault(Corrupt(), times=1, method="GET")
        store.get("k")

        assert store.get("k") == value


def test_what_another_process_has_put_is_noticed(moto):
    bucket = fresh_bucket(moto)
    ours, theirs = open_store(moto, bucket, serializer="raw"), open_store(moto, bucket, serializer="raw")
    ours.set("k", b"1" * 2000)
    assert ours.get("k") == b"1" * 2000

    theirs.set("k", b"2" * 2000)
    assert ours.get("k") == b"2" * 2000

    theirs.delete("k")
    assert ours.get("k") is None


def test_a_body_that_is_the_same_with_other_deadlines_is_noticed(moto):
    bucket = fresh_bucket(moto)
    ours, theirs = open_store(moto, bucket, dedupe_writes=True), open_store(moto, bucket, dedupe_writes=True)
    ours.set("k", "v" * 2000, ttl=60)
    until = ours.get_entry("k").fresh_until
    # A second is as fine as `Last-Modified` is.
    time.sleep(1.1)

    theirs.set("k", "v" * 2000, ttl=600)

    assert ours.get_entry("k").fresh_until > until + 500


def test_an_unchanged_value_is_renewed_in_place(server, proxy):
    store = open_store(server, url=proxy.url, dedupe_writes=True, storage_class="STANDARD")
    store.set("k", {"a": "b" * 5000}, ttl=60)
    assert asked(proxy) == ["HEAD", "PUT"]

    store.set("k", {"a": "b" * 5000}, ttl=600)

    head, renewal = proxy.log
    assert (head.method, renewal.method, renewal.sent) == ("HEAD", "PUT", 0)
    assert "x-amz-copy-source" in renewal.headers
    proxy.clear()
    assert store.get_entry("k").fresh_until > time.time() + 500
    assert store.get("k") == {"a": "b" * 5000}
    proxy.clear()

    store.set("k", {"a": "c"}, ttl=600)
    assert asked(proxy) == ["HEAD", "PUT"]
    assert store.get("k") == {"a": "c"}


def test_a_renewal_that_lost_to_a_writer_writes(s3s):
    bucket = fresh_bucket(s3s)
    with Proxy(s3s.url) as proxy:
        store = open_store(s3s, bucket, url=proxy.url, dedupe_writes=True)
        store.set("k", "mine", ttl=60)
        other = open_store(s3s, bucket)

        @TTLCache.cached("unused", ttl=60, cache=store)
        def _unused():
            return None

        # Between the look and the renewal another writer comes.
        original = store.get_entry("k").fresh_until
        other.set("k", "theirs", ttl=5)
        store.set("k", "mine", ttl=600)

    assert other.get("k") == "mine"
    assert other.get_entry("k").fresh_until > original


def test_expiring_by_hand_sends_no_body(server, proxy):
    store = open_store(server, url=proxy.url)
    now = time.time()
    store.set_entry("k", CacheEntry("v" * 5000, now + 60, now, now + 600))
    proxy.clear()

    store.expire("k")

    head, renewal = proxy.log
    assert (head.method, renewal.sent) == ("HEAD", 0)
    assert store.get_entry("k").value == "v" * 5000


def test_many_deletes_are_few_requests(server, proxy):
    store = open_store(server, url=proxy.url)
    store.set_many({f"k{at}": at for at in range(1500)})
    proxy.clear()

    store.delete_many([f"k{at}" for at in range(1500)])

    assert asked(proxy) == ["POST", "POST"]
    assert store.clear() == 0


def test_a_long_value_is_sent_and_read_in_parts(server, proxy):
    store = open_store(server, url=proxy.url, serializer="raw", compress=False, revalidate=0)
    value = os.urandom(20 * 1024 * 1024)

    store.set("long", value)

    assert [seen.method for seen in proxy.log].count("PUT") == 3
    assert [seen.method for seen in proxy.log].count("POST") == 2
    proxy.clear()

    assert store.get("long") == value
    ranges = sorted(seen.headers.get("range", "") for seen in proxy.log)
    assert ranges == ["", "bytes=16777216-20971519", "bytes=8388608-16777215"]


def test_parts_of_an_upload_that_fails_are_taken_back(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, serializer="raw", compress=False, on_error="raise", retries=0)
        proxy.fault(Answer(500), times=None, method="PUT", path_contains="partNumber=2")

        with pytest.raises(errors.Unavailable):
            store.set("long", os.urandom(20 * 1024 * 1024))

        assert proxy.log[-1].method == "DELETE"
        assert "uploadId" in proxy.log[-1].query
        assert store.get("long") is None


def test_one_part_that_fails_is_sent_again_alone(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, serializer="raw", compress=False)
        value = os.urandom(20 * 1024 * 1024)
        proxy.fault(Answer(503), times=1, method="PUT", path_contains="partNumber=2")

        store.set("long", value)

        assert [seen.method for seen in proxy.log].count("PUT") == 4
        assert open_store(moto, proxy.log[0].path.split("/")[1], serializer="raw").get("long") == value


def test_requests_and_what_they_cost_are_counted(server):
    store = open_store(server, prices={"get": 2.0, "put": 3.0, "sent": 0.5}, serializer="raw", revalidate=0)

    @TTLCache.cached("n:{}", ttl=60, cache=store)
    def load(number):
        return b"12345678"

    load(1)
    load(1)

    tier = load.cache_info().tiers["l1"]
    assert tier["requests"] == {"get": 2, "put": 1}
    assert tier["bytes_sent"] == 8
    assert tier["bytes_received"] >= 8
    assert tier["cost"] == pytest.approx(2 * 2.0 + 3.0 + 8 * 0.5)


def test_no_more_requests_run_at_a_time_than_allowed(moto):
    with Proxy(moto.url) as proxy:
        store = open_store(moto, url=proxy.url, concurrency=3)
        store.set_many({f"k{at}": at for at in range(40)})

        assert store.get_many([f"k{at}" for at in range(40)]) == {f"k{at}": at for at in range(40)}
