"""Entries that the known implementation wrote into buckets, without metadata."""

from __future__ import annotations

import gzip
import json
import pickle
import time

import pytest
from buckets import fresh_bucket, open_store
from test_clients import boto_client


def legacy(value, *, fresh_for=60.0):
    now = time.time()
    return {"__ac_type": "entry", "v": value, "f": now + fresh_for, "c": now}


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("value", [{"id": 7}, {"f": 1, "c": 2.5}, None, "text" * 500, [b"\x00\xff", 1.5]])
@pytest.mark.parametrize("packed", [True, False])
def test_entries_of_the_known_implementation_are_read(moto, protocol, value, packed):
    bucket = fresh_bucket(moto)
    body = pickle.dumps(legacy(value), protocol=protocol)
    boto_client(moto).put_object(Bucket=bucket, Key="k", Body=gzip.compress(body) if packed else body)
    store = open_store(moto, bucket)
    missing = object()

    assert store.get("k", missing) == value
    assert 50 < store.get_entry("k").fresh_until - time.time() <= 60
    assert store.exists("k")
    assert not store.set_if_not_exists("k", 1, 60)


def test_json_entries_of_the_known_implementation_are_read(moto):
    bucket = fresh_bucket(moto)
    client, store = boto_client(moto), open_store(moto, bucket, serializer="json")
    client.put_object(Bucket=bucket, Key="new", Body=gzip.compress(json.dumps(legacy({"id": 7})).encode()))
    client.put_object(Bucket=bucket, Key="old", Body=gzip.compress(json.dumps(legacy(1, fresh_for=-5.0)).encode()))
    client.put_object(Bucket=bucket, Key="other", Body=b"a file of somebody else's")

    assert store.get("new") == {"id": 7}
    assert store.get("old") is None
    assert not store.exists("old")
    assert store.set_if_not_exists("old", 2, 60)
    assert store.get("old") == 2
    assert store.get("other") is None
    assert store.stats()["corrupt"] == 1
