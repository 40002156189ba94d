"""Keys of calls: templates, callables, and all arguments."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import subprocess
import sys
from collections import Counter, OrderedDict, deque
from typing import NamedTuple

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


def test_a_placeholder_without_a_name_takes_the_first_keyword():
    @TTLCache.cached("foo:{}", 60)
    def function(*, x):
        return x

    assert function.key_for(x=7) == "foo:7"


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


class Flags(enum.Flag):
    A = 1
    B = 2
    C = 4


class Masked(str):
    def __str__(self):
        return "***"


class Pair(NamedTuple):
    a: int
    b: int


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


@pytest.mark.parametrize(
    "pair",
    [
        (lambda: 1, lambda: 2),
        ("abc".upper, "xyz".upper),
        ([].append, [1].append),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
        (deque([1]), deque([2])),
        (Counter("a"), {"a": 1}),
        (Flags(1), Flags(2)),
        (Flags(1) | Flags(2), Flags(1) | Flags(4)),
        (Masked("alice"), Masked("bob")),
        (Pair(1, 2), (1, 2)),
    ],
    ids=str,
)
def test_default_keys_tell_apart(pair):
    @cache(60)
    def function(a):
        return object()

    one, two = pair
    assert function.key_for(one) != function.key_for(two)
    assert function.key_for(one) == function.key_for(one)


def test_default_keys_of_bound_methods_go_by_instance():
    class Thing:
        def method(self):
            """Do nothing."""

    @cache(60)
    def function(a):
        return object()

    one, two = Thing(), Thing()
    assert function(one.method) is function(one.method)
    assert function(one.method) is not function(two.method)


def test_what_can_change_and_has_no_text_of_its_own_is_refused():
    class Mutable:
        __hash__ = None

    @cache(60)
    def function(a):
        return a

    with pytest.raises(TypeError, match="Mutable"):
        function(Mutable())


def test_names_of_positional_only_parameters_are_free_for_keywords():
    @cache(60)
    def function(a, /, **more):
        return (a, more)

    assert function(1, a=2) == (1, {"a": 2})
    assert function(1, a=3) == (1, {"a": 3})
    assert function(1, **{"x": 1, "y": 2}) != function(1, **{"x=1,y": 2})


def test_a_function_under_another_name_in_a_class_is_no_method():
    @TTLCache.cached("u:{}", 60)
    def get(number, x=0):
        return number

    class Service:
        fetch = get

    assert (get(1), get(2)) == (1, 2)
    assert Service.fetch(3) == 3


def test_identities_differ_between_processes(tmp_path):
    script = """
import sys
from undercroft import LocalFileCache, cache
class Repo:
    def __init__(self, name): self.own = name
    @cache(3600, store=LocalFileCache(sys.argv[1]))
    def name(self): return self.own
print(Repo(sys.argv[2]).name())
"""
    for name in ("alice", "bob"):
        run = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path), name], capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == name


def test_clear_leaves_others_alone():
    store = InMemCache()
    store.set("user:7", 1)

    @cache(60, store=store)
    def get(a):
        return a

    @cache(60, store=store)
    def get_all(a):
        return a

    @TTLCache.cached("user", 60, store)
    def fixed():
        return 1

    @TTLCache.cached("{}", 60, store)
    def bare(a):
        return a

    get(1), get("x" * 500), get_all(1), fixed(), bare("b")
    assert get.clear() == 2
    fixed.clear()
    assert len(store) == 3
    assert store.get("user:7") == 1
    with pytest.raises(errors.ConfigInvalid, match="nothing tells"):
        bare.clear()
