"""Faults of object storage, injected by a proxy: every one a clear error or a miss, none a wrong value."""

from __future__ import annotations

import datetime
import os
import time

import pytest
from buckets import fresh_bucket, open_store
from proxy import Answer, Corrupt, Hang, Proxy, Reset, Rewrite, Truncate
from undercroft import CacheError, InMemCache, S3Cache, TTLCache, errors


@pytest.fixture
def proxy(moto):
    with Proxy(moto.url) as proxy:
        yield proxy


@pytest.fixture
def strict(moto, proxy):
    """Returns a store that raises what goes wrong, and tries nothing again."""
    return open_store(moto, url=proxy.url, on_error="raise", retries=0, breaker=0)


def failure(code, message, **more):
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{inside}</Error>".encode()


def test_a_missing_bucket_is_named(moto):
    store = open_store(moto, "no-such-bucket-here", on_error="raise")

    with pytest.raises(errors.ConfigInvalid, match="there is no bucket `no-such-bucket-here`"):
        store.get("k")
    with pytest.raises(errors.ConfigInvalid, match="no-such-bucket-here"):
        store.set("k", 1)


def test_a_bucket_in_another_region_is_followed(proxy, strict):
    strict.set("k", "v")
    body = failure("AuthorizationHeaderMalformed", "the region is wrong", Region="eu-central-1")
    proxy.fault(Answer(400, {}, body), times=1)

    assert strict.get("k") == "v"
    assert "/eu-central-1/s3/" in proxy.log[-1].headers["authorization"]
    proxy.clear()

    assert strict.get("k") == "v"
    assert len(proxy.log) == 1


def test_a_bucket_that_moves_for_ever_is_named(proxy, strict):
    proxy.fault(Answer(301, {"x-amz-bucket-region": "eu-central-1"}), times=None)

    with pytest.raises(errors.ConfigInvalid, match=r"in the region `eu-central-1`"):
        strict.get("k")


def test_denied_credentials_are_no_miss_for_who_asks(proxy, strict):
    proxy.fault(Answer(403, {}, failure("AccessDenied", "Access Denied")), times=2)

    with pytest.raises(errors.Denied, match="AccessDenied") as caught:
        strict.get("k")
    assert not caught.value.retryable
    with pytest.raises(PermissionError):
        strict.set("k", 1)


def test_a_wrong_secret_is_denied(s3s):
    store = S3Cache(
        fresh_bucket(s3s),
        endpoint_url=s3s.url,
        access_key_id=s3s.access_key,
        secret_access_key="not the secret",
        on_error="raise",
    )

    with pytest.raises(errors.Denied, match="SignatureDoesNotMatch"):
        store.set("k", 1)


def test_a_skewed_clock_is_named(proxy, strict):
    server_time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=20)
    body = failure("RequestTimeTooSkewed", "too large", ServerTime=server_time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    proxy.fault(Answer(403, {}, body), times=1)

    with pytest.raises(errors.Denied, match=r"clock of this machine is (20|21) minutes behind"):
        strict.get("k")


def test_a_burst_of_503_is_ridden_out(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", backoff=0.001)
    store.set("k", "v")
    proxy.fault(Answer(503, {}, failure("SlowDown", "reduce your request rate")), times=3)

    assert store.get("k") == "v"

    assert store.stats()["tiers"]["l1"]["retries"] == 3


def test_retry_after_is_honoured(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", backoff=0)
    store.set("k", "v")
    proxy.fault(Answer(503, {"Retry-After": "0.2"}, failure("SlowDown", "slow")), times=1)
    begun = time.monotonic()

    assert store.get("k") == "v"
    assert time.monotonic() - begun >= 0.2

    proxy.fault(Answer(503, {"Retry-After": "3600"}, failure("SlowDown", "slow")), times=1)
    with pytest.raises(errors.Throttled):
        store.get("k")


def test_what_is_not_retryable_is_not_tried_again(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", retries=5)
    proxy.fault(Answer(403), times=None)

    with pytest.raises(errors.Denied):
        store.get("k")

    assert len(proxy.log) == 1


@pytest.mark.parametrize("fault", [Reset(), Reset(500), Truncate(500)])
def test_a_connection_that_breaks_is_tried_again(moto, proxy, fault):
    store = open_store(moto, url=proxy.url, on_error="raise", serializer="raw", compress=False, backoff=0.001)
    value = os.urandom(4000)
    store.set("k", value)
    proxy.fault(fault, times=2, method="GET")

    assert store.get("k") == value

    proxy.fault(fault, times=None, method="GET")
    with pytest.raises(errors.Unavailable):
        open_store(moto, proxy.log[0].path.split("/")[1], url=proxy.url, on_error="raise", retries=1).get("k")


def test_a_corrupted_gzip_body_is_a_miss(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", serializer="json")
    store.set("k", ["abc"] * 1000)
    proxy.fault(Corrupt(), times=1, method="GET")

    assert store.get("k") is None
    assert store.stats()["corrupt"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"x-amz-meta-ac-fresh-until": None},
        {"x-amz-meta-ac-fresh-until": "soon"},
        {"x-amz-meta-ac-v": "99"},
        {"x-amz-meta-ac-codec": "cobol"},
    ],
)
def test_garbled_metadata_is_a_miss(moto, proxy, change):
    store = open_store(moto, url=proxy.url, on_error="raise")
    store.set("k", "v")
    proxy.fault(Rewrite(change), times=1, method="GET")

    assert store.get("k") is None
    assert store.stats()["corrupt"] == 1
    assert store.get("k") == "v"


def test_an_object_without_metadata_is_a_miss_and_is_replaced(moto, proxy):
    bucket = fresh_bucket(moto)
    store = open_store(moto, bucket, url=proxy.url, on_error="raise")
    names = [f"x-amz-meta-ac-{name}" for name in ("v", "codec", "created-at", "fresh-until", "stale-until", "encoding")]
    store.set("k", "v")
    proxy.fault(Rewrite(dict.fromkeys(names)), times=1, method="GET")

    assert store.get("k") is None

    store.set("k", "new")
    assert store.get("k") == "new"


def test_a_value_over_the_limit_is_refused_before_it_is_sent(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", max_value="1KiB")

    with pytest.raises(errors.TooLarge, match="1024"):
        store.set("k", os.urandom(2000))

    assert proxy.log == []


def test_with_the_tier_down_functions_go_on_and_recover_by_themselves(moto, proxy):
    store = open_store(moto, url=proxy.url, retries=1, backoff=0.001, breaker=4, cooldown=0.05)
    calls = []

    @TTLCache.cached("n:{}", ttl=60, cache=store)
    def load(number):
        calls.append(number)
        return number * 2

    proxy.pause()
    assert [load(number) for number in range(6)] == [0, 2, 4, 6, 8, 10]
    tier = load.cache_info().tiers["l1"]
    assert tier["opened"] >= 1
    assert tier["refused"] >= 1

    proxy.resume()
    deadline = time.monotonic() + 30
    while load.cache_info().tiers["l1"]["writes"] == 0 and time.monotonic() < deadline:
        load(1)
        time.sleep(0.02)
    seen = len(calls)
    assert load(1) == 2
    assert len(calls) == seen


def test_a_server_that_hangs_costs_its_timeout_once(moto, proxy):
    store = open_store(moto, url=proxy.url, timeout=0.2, cooldown=30)

    @TTLCache.cached("n:{}", ttl=60, cache=store)
    def load(number):
        return number

    proxy.fault(Hang(), times=None)

    assert [load(number) for number in range(20)] == list(range(20))

    tier = load.cache_info().tiers["l1"]
    assert tier["timeouts"] == 1
    assert len(proxy.log) == 1


def test_a_body_that_stops_arriving_is_a_timeout(moto, proxy):
    store = open_store(moto, url=proxy.url, timeout=0.2, on_error="raise", retries=0, serializer="raw", compress=False)
    store.set("k", os.urandom(4000))
    proxy.fault(Hang(), times=1, method="GET")

    with pytest.raises(TimeoutError):
        store.get("k")


def test_credentials_and_regions_are_mended_for_every_operation(moto, proxy, strict):
    strict.set_many({"a1": 1, "a2": 2})
    body = failure("AuthorizationHeaderMalformed", "the region is wrong", Region="eu-central-1")
    proxy.fault(Answer(400, {}, body), times=1, method="POST")

    strict.delete_many(["a1", "a2"])

    assert strict.get_many(["a1", "a2"]) == {}
    assert "/eu-central-1/s3/" in proxy.log[-1].headers["authorization"]


def test_an_error_after_a_200_is_tried_again(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", serializer="raw", compress=False, backoff=0.001)
    value = os.urandom(9 * 1024 * 1024)
    proxy.fault(
        Answer(200, {}, failure("InternalError", "try again")), times=1, method="POST", path_contains="uploadId"
    )

    store.set("long", value)

    assert store.get("long") == value


def test_a_wait_that_is_too_long_is_not_waited_for(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", serializer="raw", compress=False, timeout=1)
    proxy.fault(Answer(503, {"Retry-After": "3600"}), times=None, method="PUT", path_contains="partNumber")

    with pytest.raises(errors.Unavailable):
        store.set("long", os.urandom(9 * 1024 * 1024))


def test_a_false_length_ends_nothing_but_the_read(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", retries=0)
    store.set("k", "v" * 1000)
    proxy.fault(Rewrite({"Content-Length": str(10**15)}), times=1, method="GET")

    with pytest.raises((errors.TooLarge, errors.Unavailable, errors.Timeout)):
        store.get("k")
    assert store.get("k") == "v" * 1000


def test_a_large_body_that_stands_still_is_a_timeout(moto, proxy):
    store = open_store(moto, url=proxy.url, on_error="raise", retries=0, timeout=0.3, serializer="raw", compress=False)
    store.set("k", os.urandom(12 * 1024 * 1024))
    proxy.fault(Hang(), times=None, method="GET")
    begun = time.monotonic()

    with pytest.raises(TimeoutError):
        store.get("k")

    # The pace of so large a body would allow for a minute and a half.
    assert time.monotonic() - begun < 60


SECRET = "a-very-secret-key-that-nobody-shows"


def test_credentials_are_never_shown(moto, proxy, capfd, caplog):
    caplog.set_level(0)
    options = {"session_token": f"token-{SECRET}", "on_error": "raise", "retries": 0}
    store = S3Cache(
        fresh_bucket(moto),
        endpoint_url=proxy.url,
        access_key_id=f"id-{SECRET}",
        secret_access_key=SECRET,
        **options,
    )
    seen = [repr(store), str(store), repr(store.tiers), repr(vars(store) if hasattr(store, "__dict__") else "")]
    proxy.fault(Answer(403, {}, failure("InvalidAccessKeyId", "no such key")), times=1)
    for attempt in (
        lambda: store.get("k"),
        lambda: S3Cache("b", access_key_id=SECRET),
        lambda: S3Cache("b", endpoint_url="nonsense", access_key_id=SECRET, secret_access_key=SECRET),
    ):
        try:
            attempt()
        except CacheError as error:
            seen += [str(error), repr(error), repr(error.__cause__)]
    store.set("k", 1)
    seen += [str(store.stats()), caplog.text, *capfd.readouterr()]

    assert len(seen) > 8
    assert not any(SECRET in text for text in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regoin": "eu-west-1"}, "unknown key `regoin`.*did you mean `region`"),
        ({"access_key_id": "a"}, "belong together"),
        ({"sse": "rot13"}, "AES256"),
        ({"concurrency": 0}, "at least 1"),
        ({"prices": {"gets": 1}}, "did you mean `get`"),
        ({"compress_level": 12}, "from 1 to 9"),
        ({"timeout": "soon"}, "`timeout`.*duration"),
        ({"endpoint_url": "localhost:9000", "access_key_id": "a", "secret_access_key": "b"}, "http://"),
        ({"tags": 7}, "`tags`"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(errors.ConfigInvalid, match=message):
        S3Cache("bucket", **options)


def test_bad_arguments_are_named():
    with pytest.raises(errors.ConfigInvalid, match="`bucket`"):
        S3Cache("")
    with pytest.raises(ValueError, match="unknown serializer"):
        S3Cache("bucket", serializer="cobol", access_key_id="a", secret_access_key="b")


def test_a_near_tier_goes_on_while_the_far_one_is_down(moto, proxy):
    from undercroft import ChainCache

    chain = ChainCache([(InMemCache(), 60), (open_store(moto, url=proxy.url, retries=0), None)])
    proxy.pause()

    chain.set("k", "v", ttl=60)

    assert chain.get("k") == "v"
