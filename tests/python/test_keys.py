"""Keys of calls: templates, callables, and all arguments."""

from __future__ import annotations

import dataclasses
import datetime
import enum

import pytest
from undercroft import (
    InMemCache,
    TTLCache,
    cache,
    errors,
)
from waiting import Calls


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


def test_version_is_part_of_the_key():
    store = InMemCache()

    @TTLCache.cached("k:{}", 60, store)
    def old(a):
        return "old"

    @TTLCache.cached("k:{}", 60, store, version=2)
    def new(a):
        return "new"

    assert (old(1), new(1)) == ("old", "new")


@pytest.mark.parametrize("bad", ["", "x" * 1025, "a\nb", "a\x00b"])
def test_a_bad_key_is_a_clear_error(bad):
    @TTLCache.cached(lambda: bad, 60)
    def load():
        return 1

    with pytest.raises(errors.KeyInvalid) as raised:
        load()
    assert isinstance(raised.value, ValueError)
