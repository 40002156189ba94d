"""Decorated functions still behave as functions."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle

import pytest
from undercroft import (
    InMemCache,
    TTLCache,
    cache,
    errors,
)
from waiting import Calls


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
