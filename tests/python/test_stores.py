"""Stores: the facade, chains, stores that users write, and the verbs of `Cache`."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import time

import pytest
from own_store import OwnStore
from undercroft import (
    Cache,
    CacheEntry,
    CacheStorage,
    ChainCache,
    HybridCache,
    InMemCache,
    LocalFileCache,
    TTLCache,
    errors,
    validate_cache_storage,
)


@pytest.fixture(params=["memory", "disk", "chain", "hybrid", "gzip", "own"])
def store(request, tmp_path):
    made = {
        "memory": InMemCache,
        "disk": lambda: LocalFileCache(tmp_path),
        "gzip": lambda: LocalFileCache(tmp_path, compress=True),
        "chain": lambda: ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 3600)]),
        "hybrid": lambda: HybridCache(l2_cache=LocalFileCache(tmp_path)),
        "own": lambda: ChainCache([(InMemCache(), None), (OwnStore(), None)]),
    }
    return made[request.param]()


def test_the_storage_protocol(store):
    assert validate_cache_storage(store)
    assert isinstance(store, CacheStorage)
    assert store.get("k") is None
    assert store.get("k", "default") == "default"
    assert not store.exists("k")
    store.set("k", {"a": [1, 2]}, ttl=60)
    assert store.get("k") == {"a": [1, 2]}
    assert store.exists("k")
    assert "k" in store
    store.set("for-ever", 1)
    store.set("for-ever-too", 1, ttl=0)
    assert store.get("for-ever") == store.get("for-ever-too") == 1
    entry = store.get_entry("k")
    assert isinstance(entry, CacheEntry)
    assert entry.is_fresh()
    assert 59 < entry.fresh_until - time.time() <= 60
    assert entry.age() < 60
    store.delete("k")
    store.delete("k")
    assert store.get("k") is None
    assert store.get_entry("k") is None


def test_no_ttl_means_for_ever(tmp_path):
    for store in (InMemCache(), LocalFileCache(tmp_path)):
        store.set("k", 1)
        assert store.get_entry("k").fresh_until == math.inf


def test_set_if_not_exists(store):
    assert store.set_if_not_exists("k", 1, 60)
    assert not store.set_if_not_exists("k", 2, 60)
    assert store.get("k") == 1
    store.set("short", 1, ttl=0.03)
    time.sleep(0.06)
    assert store.set_if_not_exists("short", 2, 60)


def test_what_is_stale_is_absent():
    store = InMemCache()
    store.set("k", 1, ttl=60)
    entry = store.get_entry("k")
    entry.fresh_until = time.time() - 10
    store.set_entry("k", entry)
    assert store.set_if_not_exists("k", 2, 60)
    assert store.get("k") == 2


def test_many(store):
    store.set_many({"a": 1, "b": None, "c": 3}, ttl=60)
    assert store.get_many(["a", "b", "x", "c"]) == {"a": 1, "b": None, "c": 3}
    store.delete_many(["a", "b"])
    assert store.get_many(["a", "b", "c"]) == {"c": 3}


def test_values_end(store):
    store.set("k", 1, ttl=0.03)
    time.sleep(0.06)
    assert store.get("k") is None
    assert not store.exists("k")


def test_entries_with_their_own_deadlines(store):
    now = time.time()
    store.set_entry("k", CacheEntry(value="v", fresh_until=now - 1, created_at=now - 10), ttl=60)
    assert store.get("k") is None
    entry = store.get_entry("k")
    assert entry is not None
    assert (entry.value, entry.is_fresh()) == ("v", False)


def test_the_async_twins(store):
    async def run():
        await store.set_async("k", [1], ttl=60)
        assert await store.get_async("k") == [1]
        assert await store.exists_async("k")
        await store.delete_async("k")
        assert await store.get_async("k", "gone") == "gone"

    asyncio.run(run())


def test_clear_and_cleanup(tmp_path):
    for store in (
        InMemCache(),
        LocalFileCache(tmp_path),
        ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 60)]),
    ):
        store.set("a:1", 1)
        store.set("b:1", 1, ttl=0.02)
        time.sleep(0.05)
        # A directory sweeps by itself too, and may have been faster.
        assert store.cleanup_expired() in ((1,) if type(store) is InMemCache else (0, 1, 2))
        assert store.get_entry("b:1") is None
        assert store.clear("a:") == 1
        assert store.get("a:1") is None


def test_memory_is_bounded():
    store = InMemCache(max_entries=100)
    for number in range(10_000):
        store.set(f"k{number}", number)
    assert len(store) <= 100
    usage = InMemCache(max_bytes=100_000)
    for number in range(1000):
        usage.set(f"k{number}", b"x" * 1000)
    assert 0 < usage.get_memory_usage()["bytes_used"] <= 100_000
    assert usage.get_memory_usage()["entry_count"] <= 100


def test_memory_limits_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        InMemCache(max_entries=0)


def test_memory_keeps_the_object_itself():
    store, value = InMemCache(), object()
    store.set("k", value)
    assert store.get("k") is value


def test_objects_that_use_the_cache_when_they_die():
    store = InMemCache(max_entries=2)

    class Dying:
        def __del__(self):
            store.get("k1")
            store.set("last", 1)

    for number in range(50):
        store.set(f"k{number}", Dying())
        store.set("k1", Dying())
        store.delete("k1")
    store.clear()


def test_chains(tmp_path):
    near, far = InMemCache(), LocalFileCache(tmp_path)
    chain = ChainCache([(near, 60), (far, 3600)])
    chain.set("k", "v", ttl=7200)
    assert near.get("k") == far.get("k") == "v"
    assert near.get_entry("k").fresh_until - time.time() <= 60
    assert 3590 < far.get_entry("k").fresh_until - time.time() <= 3600
    near.delete("k")
    assert chain.get("k") == "v"
    assert near.get("k") == "v"
    chain.delete("k")
    assert far.get("k") is None


def test_chains_of_chains_and_memory_further_back(tmp_path):
    inner = ChainCache.build(InMemCache(), LocalFileCache(tmp_path), ttls=[10, None])
    outer = HybridCache(l1_cache=InMemCache(), l2_cache=inner, l1_ttl=5)
    outer.set("k", object)
    assert outer.tier_names == ["l1", "l2", "l3"]
    assert outer.get("k") is object
    assert inner.get("k") is object
    with pytest.raises(ValueError, match="2 stores need 2 ttls"):
        ChainCache.build(InMemCache(), InMemCache(), ttls=[1])
    with pytest.raises(ValueError, match="at least one tier"):
        ChainCache([])
    with pytest.raises(ValueError, match="`l2_cache` is required"):
        HybridCache()


def test_a_store_written_by_a_user():
    own = OwnStore()
    loads = []

    @TTLCache.cached("user:{}", 60, cache=own)
    def load(number):
        loads.append(number)
        return {"id": number}

    assert load(1) == load(1) == {"id": 1}
    assert own.get("user:1") == {"id": 1}
    assert len(loads) == 1
    load.invalidate(1)
    assert own.get("user:1") is None
    assert load(1) == {"id": 1}
    assert len(loads) == 2


def test_a_users_store_may_hold_nothing_as_a_value():
    own, loads = OwnStore(), []

    @TTLCache.cached("k", 60, cache=own)
    def load():
        loads.append(1)

    load(), load()
    assert len(loads) == 1


def test_a_users_store_that_keeps_entries():
    class Entries(OwnStore):
        def get_entry(self, key):
            return self.data.get(key)

        def set_entry(self, key, entry, ttl=None):
            self.data[key] = entry

    own = Entries()
    from undercroft import SWRCache

    @SWRCache.cached("k", 0.05, 60, cache=own)
    def load():
        return time.time()

    first = load()
    time.sleep(0.1)
    assert load() == first
    while load() == first:
        time.sleep(0.005)


def test_a_users_store_that_fails_is_a_miss_and_the_result_is_kept():
    class Broken(OwnStore):
        def get(self, key):
            raise OSError("gone")

        def set(self, key, value, ttl=0):
            raise OSError("gone")

    chain = ChainCache([(InMemCache(), 60), (Broken(), 60)])

    @TTLCache.cached("k", 60, chain)
    def load():
        return 1

    assert load() == 1
    assert load() == 1
    stats = chain.stats()
    assert (stats["read_failed"], stats["write_failed"]) == (1, 1)


def test_values_of_unknown_life_are_not_copied():
    own = OwnStore()
    own.set("k", "theirs", 3600)
    near = InMemCache()
    chain = ChainCache([(near, 60), (own, None)])
    assert chain.get("k") == "theirs"
    assert near.get("k") is None


def test_the_verbs_of_cache(tmp_path):
    config = {"tiers": ["memory://", {"url": f"file://{tmp_path}", "name": "disk"}], "policy": {"ttl": "60s"}}
    with Cache.from_config(config) as cache:
        found = cache.begin("k")
        assert (found.state, found.value) == ("miss", None)
        cache.fulfil(found.lease, {"a": 1})
        assert cache.begin("k").value == {"a": 1}
        assert cache.entry("k").tier == "l1"
        assert cache.get("k", skip=["l1"]) == {"a": 1}
        assert cache.clear() == 1
        with pytest.raises(errors.LeaseLost):
            cache.fulfil(found.lease, 2)
    with pytest.raises(errors.Closed):
        cache.get("k")
    for name, text in (("c.json", json.dumps(config)), ("c.yaml", f"tiers: ['memory://', 'file://{tmp_path}']"),
                       ("c.toml", "tiers = ['memory://']\n[policy]\nttl = '1m'")):  # fmt: skip
        (tmp_path / name).write_text(text)
        assert Cache.from_config(tmp_path / name).tier_names[0] == "l1"
    with pytest.raises(errors.ConfigInvalid, match="not valid JSON"):
        Cache.from_config("{")


def test_errors_survive_pickling():
    error = errors.Unavailable("refused", "l2")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.tier, copy.retryable) == (errors.Unavailable, "refused (tier `l2`)", "l2", True)


def test_a_store_of_coroutine_functions_is_refused():
    class Waiting(OwnStore):
        async def get(self, key):
            return None

    with pytest.raises(TypeError, match="`Waiting.get` is a coroutine function"):
        TTLCache.cached("k", 60, cache=Waiting())(lambda: None)
