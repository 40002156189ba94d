"""What is written runs: the README's quick starts, the docstrings' examples, and the documented system's examples."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import pathlib
import pkgutil
import re

import pytest
import undercroft
from undercroft import (
    BGCache,
    ChainCache,
    HybridCache,
    InMemCache,
    LocalFileCache,
    TTLCache,
)

README = pathlib.Path(__file__).parents[2] / "README.md"
QUICK_STARTS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_four_quick_starts():
    assert len(QUICK_STARTS) == 4


@pytest.fixture
def _aws(s3s, monkeypatch):
    """Lets AWS's variables name a server of the tests."""
    (s3s.root / "my-app-cache").mkdir(exist_ok=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3s.url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3s.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3s.secret_key)


@pytest.mark.usefixtures("_aws")
@pytest.mark.parametrize("source", QUICK_STARTS)
def test_quick_start(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "README.md", "exec"), {"__name__": "readme"})


MODULES = [name for _, name, _ in pkgutil.walk_packages(undercroft.__path__, "undercroft.")]


@pytest.mark.parametrize("name", ["undercroft", *(name for name in MODULES if "_native" not in name)])
def test_examples_of_docstrings(name):
    if "exporters" in name:
        pytest.importorskip("prometheus_client")
        pytest.importorskip("opentelemetry.metrics")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


# The examples of "Object Storage Caching", with a directory where the document has a bucket.


def test_different_prefixes(tmp_path):
    user_cache = LocalFileCache(tmp_path, prefix="users/", serializer="json")
    product_cache = LocalFileCache(tmp_path, prefix="products/", serializer="json")

    @TTLCache.cached("{user_id}", ttl=300, cache=user_cache)
    def get_user(user_id):
        return {"user": user_id}

    @TTLCache.cached("{prod_id}", ttl=300, cache=product_cache)
    def get_product(prod_id):
        return {"product": prod_id}

    assert get_user(123) == {"user": 123}
    assert get_product(123) == {"product": 123}
    whole = LocalFileCache(tmp_path)
    assert whole.get("users/123") == {"user": 123}
    assert whole.get("products/123") == {"product": 123}
    user_cache.clear()
    assert product_cache.get("123") == {"product": 123}


def test_namespaced_keys(tmp_path):
    shared_cache = LocalFileCache(tmp_path, prefix="cache/")

    @TTLCache.cached("users:{user_id}", ttl=300, cache=shared_cache)
    def get_user(user_id):
        return "user"

    @TTLCache.cached("products/{prod_id}/profile", ttl=300, cache=shared_cache)
    def get_product(prod_id):
        return "product"

    assert (get_user(1), get_product(1)) == ("user", "product")
    assert LocalFileCache(tmp_path).get("cache/users:1") == "user"
    assert LocalFileCache(tmp_path).get("cache/products/1/profile") == "product"


def test_a_static_key(tmp_path):
    cache = LocalFileCache(tmp_path, prefix="reports/daily/")

    @TTLCache.cached("2023-10-25", ttl=3600, cache=cache)
    def get_report(date):
        return f"report of {date}"

    assert get_report("2023-10-25") == "report of 2023-10-25"
    assert LocalFileCache(tmp_path).get("reports/daily/2023-10-25") == "report of 2023-10-25"


def test_single_writer_and_many_readers():
    @BGCache.register_writer("daily_config", interval_seconds=300, run_immediately=True, cache=InMemCache())
    def refresh_config():
        return {"config": 1}

    readers = [BGCache.get_reader("daily_config", cache=InMemCache()) for _ in range(3)]
    assert [read() for read in readers] == [{"config": 1}] * 3
    assert BGCache.get_reader("never_written", cache=InMemCache())() is None


def test_a_multi_level_chain(tmp_path):
    chain = ChainCache(
        [(InMemCache(), 60), (LocalFileCache(tmp_path / "l2"), 300), (LocalFileCache(tmp_path / "l3"), 3600)]
    )
    chain.set("daily_config", {"a": 1}, ttl=7200)
    assert chain.get("daily_config") == {"a": 1}
    assert LocalFileCache(tmp_path / "l3").get("daily_config") == {"a": 1}


def test_hybrid(tmp_path):
    hybrid_cache = HybridCache(l1_cache=InMemCache(), l2_cache=LocalFileCache(tmp_path), l1_ttl=60, l2_ttl=86400)

    @TTLCache.cached("k", ttl=86400, cache=hybrid_cache)
    async def load():
        return 1

    assert asyncio.run(load()) == 1
    assert hybrid_cache.get("k") == 1


@pytest.mark.usefixtures("_aws")
def test_object_storage_with_a_client_of_boto3():
    import boto3
    from undercroft import S3Cache

    s3_client = boto3.client("s3")
    s3_cache = S3Cache(bucket="my-app-cache", prefix="prod/users/", s3_client=s3_client, serializer="json")

    @TTLCache.cached("user:{}", ttl=3600, cache=s3_cache)
    def get_user_report(user_id):
        return {"report": user_id}

    assert get_user_report(7) == get_user_report(7) == {"report": 7}
    found = s3_client.head_object(Bucket="my-app-cache", Key="prod/users/user:7")
    assert found["ContentType"] == "application/json"


@pytest.mark.usefixtures("_aws")
def test_an_object_key_is_prefix_and_key():
    import boto3
    from undercroft import S3Cache

    cache = S3Cache(bucket="my-app-cache", prefix="reports/daily/")

    @TTLCache.cached("2023-10-25", ttl=3600, cache=cache)
    def get_report(date):
        return f"report of {date}"

    assert get_report("2023-10-25") == "report of 2023-10-25"
    listed = boto3.client("s3").list_objects_v2(Bucket="my-app-cache", Prefix="reports/daily/")
    assert [found["Key"] for found in listed["Contents"]] == ["reports/daily/2023-10-25"]


@pytest.mark.usefixtures("_aws")
def test_memory_over_object_storage():
    from undercroft import S3Cache

    hybrid_cache = HybridCache(l1_cache=InMemCache(), l2_cache=S3Cache(bucket="my-app-cache"), l1_ttl=60, l2_ttl=86400)

    @TTLCache.cached("hybrid:{}", ttl=86400, cache=hybrid_cache)
    def load(number):
        return [number]

    assert load(1) == load(1) == [1]
    assert S3Cache(bucket="my-app-cache").get("hybrid:1") == [1]


def test_read_only_static_data():
    @BGCache.register_loader("daily_config", interval_seconds=3600)
    def load_config():
        return {"big": "json"}

    assert load_config() == {"big": "json"}
