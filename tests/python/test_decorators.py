"""Decorated functions: they cache, and they still behave as functions."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import datetime
import enum
import gc
import inspect
import math
import pickle
import time

import pytest
import undercroft
from undercroft import ChainCache, HybridCache, InMemCache, LocalFileCache, SWRCache, TTLCache, cache, errors


class Calls:
    """A loader that counts."""

    def __init__(self):
        self.count = 0

    def __call__(self, value=None):
        self.count += 1
        return value


@TTLCache.cached("module:{}", 60)
def at_module_level(number: int, *, scale: int = 1) -> int:
    """Multiply."""
    return number * scale


class Service:
    tenant = "acme"

    @TTLCache.cached("{self.tenant}:{}", 60)
    def named(self, number):
        return self.tenant, number, object()

    @cache(60)
    def own(self, number=1):
        return number, object()

    @classmethod
    @TTLCache.cached("class:{}", 60)
    def of_class(cls, number):
        return cls.__name__, number, object()

    @TTLCache.cached("class2:{}", 60)
    @classmethod
    def of_class_other_order(cls, number):
        return cls.__name__, number, object()

    @staticmethod
    @TTLCache.cached("static:{}", 60)
    def of_nobody(number):
        return number, object()

    @TTLCache.cached("async:{}", 60)
    async def later(self, number):
        return number, object()

    @cache(60)
    def odd_first_name(this, number):  # noqa: N805
        return number, object()


def test_it_keeps_what_wraps_keeps():
    assert at_module_level.__name__ == "at_module_level"
    assert at_module_level.__qualname__ == "at_module_level"
    assert at_module_level.__doc__ == "Multiply."
    assert at_module_level.__module__ == __name__
    assert at_module_level.__wrapped__(2, scale=3) == 6
    assert str(inspect.signature(at_module_level)) == "(number: 'int', *, scale: 'int' = 1) -> 'int'"
    assert at_module_level.__annotations__["number"] == "int"


def test_coroutine_functions_stay_coroutine_functions():
    @TTLCache.cached("k:{}", 60)
    async def load(number):
        return number

    assert inspect.iscoroutinefunction(load)
    assert asyncio.iscoroutinefunction(load)
    assert inspect.iscoroutinefunction(Service().later)
    assert not inspect.iscoroutinefunction(at_module_level)


def test_it_is_pickled_by_reference():
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level
    assert copy.deepcopy(at_module_level) is at_module_level
    service = Service()
    assert pickle.loads(pickle.dumps(service.named)).__func__ is Service.named


def test_methods_leave_the_instance_out():
    service, other = Service(), Service()
    other.tenant = "other"

    assert service.named(1) is service.named(1)
    assert service.named(1) is not other.named(1)
    assert Service.named(service, 1) is service.named(1)
    assert str(inspect.signature(service.named)) == "(number)"


def test_a_default_key_tells_instances_apart():
    service, other = Service(), Service()

    assert service.own(1) is service.own(number=1) is service.own()
    assert service.own(1) is not other.own(1)
    assert service.odd_first_name(1) is service.odd_first_name(1)


def test_an_address_is_never_taken_for_an_instance():
    seen = set()
    for _ in range(200):
        service = Service()
        seen.add(id(service.own(1)[1]))
        assert service.own.cache_info is not None
        del service
        gc.collect()
    kept = [Service().own(1) for _ in range(50)]
    assert len({id(item) for item in kept}) == 50


def test_classmethods_and_staticmethods():
    assert Service.of_class(1) is Service().of_class(1)
    assert Service.of_class_other_order(1) is Service().of_class_other_order(1)
    assert Service.of_nobody(1) is Service().of_nobody(1)
    assert Service.of_class(1)[0] == "Service"


def test_a_method_can_be_invalidated_and_refreshed():
    service = Service()
    first = service.named(5)
    service.named.invalidate(5)
    second = service.named(5)
    assert second is not first
    third = service.named.refresh(5)
    assert third is not second
    assert service.named(5) is third
    assert service.named.key_for(5) == "acme:5"


def test_async_methods():
    async def run():
        service = Service()
        first = await service.later(1)
        assert await service.later(1) is first
        await service.later.invalidate(1)
        assert await service.later(1) is not first

    asyncio.run(run())


@pytest.mark.parametrize(
    ("template", "args", "kwargs", "key"),
    [
        ("static", (1,), {}, "static"),
        ("{}", (7,), {}, "7"),
        ("{}", (), {"a": 7}, "7"),
        ("{}", ("x",), {}, "x"),
        ("{}:{}", (1, 2), {}, "1:2"),
        ("{}:{}", (1,), {}, "1:2.5"),
        ("{a}-{b}", (1,), {"b": 3}, "1-3"),
        ("{a:04d}", (7,), {}, "0007"),
        ("{a!r}", ("x",), {}, "'x'"),
        ("{1}/{0}", (1, 2), {}, "2/1"),
        ("{{{a}}}", (1,), {}, "{1}"),
        ("{a[0]}{a[k]}", ({0: "x", "k": "y"},), {}, "xy"),
        ("{a.year}", (datetime.date(2026, 1, 2),), {}, "2026"),
        ("{}", (datetime.date(2026, 1, 2),), {}, "2026-01-02"),
        ("{}", (True,), {}, "True"),
        ("{}", (None,), {}, "None"),
        ("{}", (1.5,), {}, "1.5"),
        ("{}", (2**80,), {}, str(2**80)),
        ("{}", (-5,), {}, "-5"),
    ],
)
def test_templates(template, args, kwargs, key):
    @TTLCache.cached(template, 60)
    def function(a, b=2.5):
        return a

    assert function.key_for(*args, **kwargs) == key


def test_a_template_over_any_keywords():
    @TTLCache.cached("{}/{other}", 60)
    def function(**kwargs):
        return kwargs

    assert function.key_for(first=1, other=2) == "1/2"


def test_a_callable_key_gets_the_exact_arguments():
    seen = []

    def key(*args, **kwargs):
        seen.append((args, kwargs))
        return "k"

    @TTLCache.cached(key, 60)
    def function(a, b=1):
        return a

    function(1, b=2)
    assert seen == [((1,), {"b": 2})]


@pytest.mark.parametrize(
    ("template", "message"),
    [("{x}", "`{x}` names nothing that"), ("{}{}", "`{1}`"), ("{", "never closed"), ("}", "single `}`")],
)
def test_a_template_that_cannot_be_filled_is_an_error_when_decorating(template, message):
    with pytest.raises(errors.ConfigInvalid) as raised:

        @TTLCache.cached(template, 60)
        def function(a):
            return a

    assert message in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_missing_arguments_are_the_functions_own_error():
    @TTLCache.cached("{a}", 60)
    def function(a):
        return a

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        function()


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


def test_default_keys_tell_types_and_values_apart():
    calls = Calls()

    @cache(60)
    def function(a, *rest, b=None, **more):
        return calls((a, rest, b, more))

    different = [1, True, 1.0, "1", b"1", None, "None", (1, 2), [1, 2], {1, 2}, frozenset({1, 2}), {"a": 1}, {"a": "1"},
                 Point(1, 2), Point(2, 1), Colour.RED, datetime.date(2026, 1, 1), int, len, ("1",), ("1", "2"), "1,2",
                 "a\nb", "", "x" * 5000]  # fmt: skip
    for value in different:
        function(value)
        function(value)
    assert calls.count == len(different)
    assert function(Point(1, 2)) == function(Point(1, 2))
    assert calls.count == len(different)


def test_default_keys_do_not_depend_on_how_arguments_are_given():
    calls = Calls()

    @cache(60)
    def function(a, b=2, *, c=3):
        return calls()

    function(1)
    function(1, 2)
    function(a=1, b=2)
    function(c=3, b=2, a=1)
    assert calls.count == 1


def test_functions_that_share_a_store_do_not_share_default_keys():
    store = InMemCache()

    @cache(60, store=store)
    def one(a):
        return "one"

    @cache(60, store=store)
    def two(a):
        return "two"

    assert (one(1), two(1)) == ("one", "two")


def test_an_argument_nobody_can_tell_apart_is_refused():
    class Slotted:
        __slots__ = ()

    @cache(60)
    def by_default(a):
        return a

    @TTLCache.cached("{}", 60)
    def by_template(a):
        return a

    with pytest.raises(TypeError, match="Slotted"):
        by_default(Slotted())
    with pytest.raises(TypeError, match="Slotted"):
        by_template(Slotted())


def test_unhashable_and_broken_arguments():
    class Broken:
        def __format__(self, spec):
            raise RuntimeError("no text")

    @TTLCache.cached("{}", 60)
    def function(a):
        return a

    assert function([1]) == [1]
    with pytest.raises(RuntimeError, match="no text"):
        function(Broken())


@pytest.mark.parametrize("ttl", [0, -1, 0.0, datetime.timedelta(0)])
def test_a_ttl_of_zero_or_less_passes_through(ttl):
    calls = Calls()

    @TTLCache.cached("k", ttl)
    def function():
        return calls()

    function()
    function()
    assert calls.count == 2


def test_a_ttl_of_zero_passes_through_async():
    calls = Calls()

    @SWRCache.cached("k", 0, 10)
    async def function():
        return calls()

    async def run():
        await function()
        await function()

    asyncio.run(run())
    assert calls.count == 2


@pytest.mark.parametrize("ttl", ["60", "soon", True, [], {}])
def test_a_ttl_that_is_no_number_is_refused(ttl):
    with pytest.raises(TypeError, match="`ttl`"):
        TTLCache.cached("k", ttl)(lambda: None)


def test_a_ttl_that_is_nan_is_refused():
    with pytest.raises(errors.ConfigInvalid, match="NaN"):
        TTLCache.cached("k", math.nan)(lambda: None)


def test_ttl_as_a_function_of_the_value():
    calls = Calls()

    @TTLCache.cached("k:{}", lambda value: 0 if value is None else 60)
    def find(name):
        return calls(name or None)

    find("a"), find("a")
    assert calls.count == 1
    find(""), find("")
    assert calls.count == 3


def test_cache_if():
    calls = Calls()

    @TTLCache.cached("k:{}", 60, cache_if=lambda value: value > 0)
    def find(number):
        return calls(number)

    find(1), find(1), find(-1), find(-1)
    assert calls.count == 3


def test_nothing_is_a_value():
    calls = Calls()

    @TTLCache.cached("k", 60)
    def find():
        return calls(None)

    assert find() is None
    assert find() is None
    assert calls.count == 1


def test_version_is_part_of_the_key():
    store = InMemCache()

    @TTLCache.cached("k:{}", 60, store)
    def old(a):
        return "old"

    @TTLCache.cached("k:{}", 60, store, version=2)
    def new(a):
        return "new"

    assert (old(1), new(1)) == ("old", "new")


def test_a_loader_may_take_the_old_value():
    @TTLCache.cached("k", 0.05, old="before", stale_if_error=60)
    def count(before=None):
        return (before or 0) + 1

    assert count() == 1
    time.sleep(0.1)
    assert count() == 2
    assert count() == 2


def test_expire_serves_on_and_refreshes():
    calls = Calls()

    @SWRCache.cached("k", 60, 60)
    def load():
        return calls(calls.count)

    assert load() == 0
    load.expire()
    assert load() == 0
    wait_until(lambda: load() == 1)


def test_refresh_ahead():
    calls = Calls()

    @TTLCache.cached("k", 1, refresh_ahead=0.1)
    def load():
        return calls(calls.count)

    assert load() == 0
    time.sleep(0.15)
    assert load() == 0
    wait_until(lambda: calls.count == 2)


def wait_until(claim):
    """Wait for something that happens in the background. It ends when the claim holds, whatever the machine's speed."""
    while not claim():
        time.sleep(0.005)


def test_swr_serves_stale_and_refreshes_once():
    calls = Calls()

    @SWRCache.cached("k", 0.05, 60)
    def load():
        return calls(calls.count)

    for round_ in range(3):
        assert load() == round_
        time.sleep(0.1)
        assert load() == round_
        wait_until(lambda count=round_ + 2: calls.count == count)
        wait_until(lambda value=round_ + 1: load() == value)


def test_swr_async():
    calls = Calls()

    @SWRCache.cached("k", 0.05, 60)
    async def load():
        await asyncio.sleep(0)
        return calls(calls.count)

    async def run():
        assert await load() == 0
        await asyncio.sleep(0.1)
        assert await asyncio.gather(*(load() for _ in range(20))) == [0] * 20
        while await load() != 1:
            await asyncio.sleep(0.005)
        assert calls.count == 2

    asyncio.run(run())


def test_stale_if_error_serves_and_recovers():
    broken = []

    @TTLCache.cached("k", 0.05, stale_if_error=60)
    def load():
        if broken:
            raise ValueError("down")
        return "value"

    assert load() == "value"
    broken.append(1)
    time.sleep(0.1)
    assert load() == "value"
    load.invalidate()
    with pytest.raises(ValueError, match="down"):
        load()


def test_soft_timeout_serves_stale_and_the_load_goes_on():
    import threading

    gate = threading.Event()
    gate.set()
    calls = Calls()

    @TTLCache.cached("k", 0.05, stale_if_error=60, soft_timeout=0.05)
    def load():
        value = calls(calls.count)
        gate.wait()
        return value

    assert load() == 0
    gate.clear()
    time.sleep(0.1)
    assert load() == 0
    gate.set()
    wait_until(lambda: load.store.get("k") == 1)


def test_hard_timeout_raises_and_the_load_goes_on():
    import threading

    gate = threading.Event()

    @TTLCache.cached("k", 60, hard_timeout=0.05)
    def load():
        gate.wait()
        return 1

    with pytest.raises(errors.Timeout, match="`k`") as raised:
        load()
    assert isinstance(raised.value, TimeoutError)
    gate.set()
    wait_until(lambda: load.store.get("k") == 1)


def test_timeouts_async():
    async def run():
        gate = asyncio.Event()

        @TTLCache.cached("k", 60, hard_timeout=0.05)
        async def load():
            await gate.wait()
            return 1

        with pytest.raises(errors.Timeout):
            await load()
        gate.set()
        assert await load() == 1

    asyncio.run(run())


def test_skip_leaves_tiers_alone(tmp_path):
    calls = Calls()

    @TTLCache.cached("k:{}", 60, ChainCache([(InMemCache(), 60), (LocalFileCache(tmp_path), 3600)]))
    def load(a):
        return calls(a)

    load(1)
    assert load.skip("l1")(1) == 1
    assert calls.count == 1
    assert load.skip("l1", "l2")(1) == 1
    assert calls.count == 2
    with pytest.raises(errors.ConfigInvalid, match="l1, l2"):
        load.skip("l3")


def test_cache_info_and_clear():
    store = InMemCache()

    @TTLCache.cached("user:{}", 60, store)
    def load(a):
        return a

    load(1), load(1), load(2)
    store.set("other", 1)
    info = load.cache_info()
    assert (info.hits, info.misses, info.loads, info.currsize) == (1, 2, 2, 3)
    assert load.clear() == 2
    assert store.get("other") == 1


def test_exceptions_are_not_cached_and_keep_what_they_are():
    calls = Calls()

    class Own(Exception):
        pass

    error = Own("mine")

    @TTLCache.cached("k", 60)
    def load():
        calls()
        raise error

    for _ in range(2):
        with pytest.raises(Own) as raised:
            load()
        assert raised.value is error
        assert raised.value.__cause__ is None
        names = [frame.name for frame in raised.traceback]
        assert names[-1] == "load"
    assert calls.count == 2


def test_configure_makes_a_subclass_with_a_store():
    store = InMemCache()
    metrics = undercroft.InMemoryMetrics()
    mine = TTLCache.configure(cache=store, metrics=metrics)

    @mine.cached("k:{}", 60)
    def load(a):
        return a

    load(1), load(1)
    assert issubclass(mine, TTLCache)
    assert store.get("k:1") == 1
    assert load.store is store
    assert metrics.get_stats()["caches"]["load"]["hits"] == 1


def test_a_store_may_be_a_factory():
    made = []

    def factory():
        made.append(InMemCache())
        return made[-1]

    @TTLCache.cached("k", 60, cache=factory)
    def load():
        return 1

    load()
    assert made[0].get("k") == 1
    assert TTLCache.cached("k", 60, cache=InMemCache)(lambda: 2)() == 2


def test_what_is_no_store_is_refused():
    with pytest.raises(TypeError, match="`object` is no cache store"):
        TTLCache.cached("k", 60, cache=object())(lambda: None)


def test_only_functions_are_cached():
    with pytest.raises(TypeError, match="int"):
        TTLCache.cached("k", 60)(5)


def test_a_loader_that_asks_for_its_own_key_gets_an_error():
    @TTLCache.cached("k:{}", 60)
    def load(a):
        return load(a)

    with pytest.raises(errors.Conflict, match="`k:1`"):
        load(1)


def test_a_loader_that_asks_for_its_own_key_gets_an_error_async():
    @TTLCache.cached("k:{}", 60)
    async def load(a):
        return await asyncio.gather(load(a))

    with pytest.raises(errors.Conflict, match="`k:1`"):
        asyncio.run(load(1))


def test_recursion_over_other_keys_works():
    calls = Calls()

    @cache(60)
    def fib(n):
        calls()
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(60) == 1548008755920
    assert calls.count == 61


def test_hybrid_goes_to_its_second_level_when_the_first_has_forgotten(tmp_path):
    calls = Calls()
    hybrid = HybridCache(l1_cache=InMemCache(), l2_cache=LocalFileCache(tmp_path), l1_ttl=0.05, l2_ttl=3600)

    @TTLCache.cached("k", 3600, hybrid)
    def load():
        return calls({"n": 1})

    assert load() == {"n": 1}
    time.sleep(0.1)
    assert load() == {"n": 1}
    assert calls.count == 1
    tiers = load.cache_info().tiers
    assert tiers["l2"]["hits"] == 1


def test_settings_that_make_no_sense_are_refused_when_decorating():
    for settings in ({"jitter": 2.0}, {"refresh_ahead": 1.0}, {"stale_if_error": "x"}):
        with pytest.raises((errors.ConfigInvalid, TypeError)):
            TTLCache.cached("k", 60, **settings)(lambda: None)


@pytest.mark.parametrize("bad", ["", "x" * 1025, "a\nb", "a\x00b"])
def test_a_bad_key_is_a_clear_error(bad):
    @TTLCache.cached(lambda: bad, 60)
    def load():
        return 1

    with pytest.raises(errors.KeyInvalid) as raised:
        load()
    assert isinstance(raised.value, ValueError)


def test_an_async_result_can_be_a_task_and_awaited_anywhere():
    @TTLCache.cached("k:{}", 60)
    async def load(a):
        return (a, "tuple")

    assert asyncio.run(load(1)) == (1, "tuple")
    assert asyncio.run(load(1)) == (1, "tuple")

    async def run():
        assert await asyncio.create_task(load(1)) == (1, "tuple")
        assert await asyncio.wait_for(load(1), 5) == (1, "tuple")
        assert await asyncio.gather(load(1), load(2)) == [(1, "tuple"), (2, "tuple")]

    asyncio.run(run())
