"""Calls: which of them are the same, whatever way they are made, and arguments that have a mind of their own."""

from __future__ import annotations

import functools
import gc

import pytest
from loading import counted, echo
from undercroft import InMemCache, TTLCache, cache

# ---- which calls are the same


def test_a_template_tells_arguments_apart_by_their_text():
    load, loads = echo(TTLCache.cached("v:{}", 60))

    for value in (1, "1", True, 1.0, "True", None, "None", b"1", "b'1'", -1, 2**40, 2**70, str(2**70)):
        for _ in range(3):
            load(value)

    # What has the same text is the same: that is what a template says.
    assert [(type(value), value) for value in loads] == [
        (int, 1), (bool, True), (float, 1.0), (type(None), None), (bytes, b"1"), (int, -1), (int, 2**40), (int, 2**70)
    ]  # fmt: skip


def test_a_default_key_tells_types_apart():
    load, loads = echo(cache(60))
    values = [
        1,
        "1",
        True,
        1.0,
        None,
        "None",
        "'1'",
        b"1",
        "b'1'",
        "a,b",
        "a\\",
        "a'",
        "é",
        "\n",
        "",
        b"",
        b"\x00",
        b"'",
    ]

    for value in values * 3:
        assert load(value) is value or load(value) == value

    assert [(type(value), value) for value in loads] == [(type(value), value) for value in values]


@pytest.mark.parametrize(
    "number", [0, 9, 10, 99, 100, 9_999, 10_000, 99_999_999, 10**8, -1, -(10**8), 2**63 - 1, -(2**63)]
)
def test_numbers_are_written_as_python_writes_them(number):
    store = InMemCache()
    load, loads = echo(TTLCache.cached("{}", 60, cache=store))
    store.set(str(number), "there", 60)

    assert load(number) == "there"
    assert loads == []


def test_any_text_finds_its_own_entry():
    load, loads = echo(TTLCache.cached("p:{}", 60))
    texts = [
        letter * length for letter in ("a", "é", "𝄞") for length in (*range(1, 40), 63, 64, 65, 127, 190, 200, 210, 250)
    ]

    for text in texts * 2:
        assert load(text) == text

    assert loads == texts


def test_positions_keywords_and_defaults_are_one_call():
    @TTLCache.cached("user:{user_id}:{region}:{full}", 60)
    def load(user_id, region="eu", *, full=False):
        loads.append((user_id, region, full))
        return len(loads)

    loads = []
    name = "".join(["user", "_id"])
    for call in (
        lambda: load(7),
        lambda: load(7, "eu"),
        lambda: load(user_id=7),
        lambda: load(region="eu", user_id=7),
        lambda: load(7, full=False),
        lambda: load(**{name: 7, "full": False}),
        lambda: load.__call__(7),
        lambda: functools.partial(load, 7)(region="eu"),
        lambda: next(map(load, [7])),
    ):
        assert call() == 1
        assert call() == 1

    assert loads == [(7, "eu", False)]
    assert load(7, full=True) == load(7, "eu", full=True) == 2


@pytest.mark.parametrize("key", ["{user_id}", "{}", "fixed", None])
def test_a_call_that_does_not_fit_raises_as_the_function_does(key):
    def user(user_id, /, region="eu", *, full=False):
        return (user_id, region, full)

    load = (cache(60) if key is None else TTLCache.cached(key, 60))(user)
    load(1)

    for args, kwargs in (
        ((), {}),
        ((1, "eu", True), {}),
        ((1,), {"unknown": 1}),
        ((1, "eu"), {"region": "us"}),
        ((), {"user_id": 1}),
        ((1,), {"user_id": 1}),
    ):
        with pytest.raises(TypeError) as ours:
            load(*args, **kwargs)
        with pytest.raises(TypeError) as plain:
            user(*args, **kwargs)
        assert str(ours.value) == str(plain.value)


def test_a_keyword_may_be_called_as_a_parameter_that_is_given_by_position():
    @TTLCache.cached("{}", 60)
    def load(a, /, **named):
        loads.append((a, named))
        return len(loads)

    loads = []

    assert load(1, a=2) == load(1, a=2) == load(1) == 1


def test_what_wraps_another_function_may_be_called_in_its_own_way():
    def with_connection(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            return function("connection", *args, **kwargs)

        return call

    @TTLCache.cached("user:{}", 60)
    @with_connection
    def user(connection, user_id):
        loads.append((connection, user_id))
        return user_id

    loads = []

    assert [user(5), user(5), user(6)] == [5, 5, 6]
    assert loads == [("connection", 5), ("connection", 6)]


def test_any_number_of_arguments_reaches_the_loader():
    load, loads = counted(cache(60), lambda *args, **kwargs: None)

    many = tuple(range(20))
    named = {f"name{at}": at for at in range(20)}
    for _ in range(2):
        load(*many, **named)

    assert loads == [(many, named)]


@pytest.mark.parametrize("key", [None, "{}:{}", "{a}"])
def test_arguments_without_a_parameter_are_told_apart_where_the_key_takes_them(key):
    @(cache(60) if key is None else TTLCache.cached(key, 60))
    def load(a, *rest, **named):
        return (a, rest, named)

    calls = [((1, 2), {}), ((1, 3), {}), ((1, 2, 3), {}), ((1, 2), {"x": 1}), ((1, 2), {"x": 2}), ((1, 2), {"y": 1})]
    for args, kwargs in calls * 2:
        found = load(*args, **kwargs)
        assert found[0] == 1
        if key is None:
            assert found == (args[0], args[1:], kwargs)
        elif key == "{}:{}":
            assert found[1][0] == args[1]


def test_methods_find_their_entries_however_they_are_called():
    class Api:
        def __init__(self):
            self.loads = []

        @TTLCache.cached("item:{}:{}:{}:{}:{}:{}:{}:{}", 60)
        def item(self, a, b=0, c=0, d=0, e=0, f=0, g=0, h=0):
            self.loads.append((a, b, c, d, e, f, g, h))
            return a

    api = Api()
    bound = api.item

    for _ in range(2):
        assert api.item(1) == bound(1) == Api.item(api, 1) == bound(a=1) == bound.__call__(1) == 1
        assert bound(1, 0, 0, 0, 0, 0, 0, 0) == bound(1, 0, 0, 0, 0, 0, 0, h=0) == 1

    assert api.loads == [(1, 0, 0, 0, 0, 0, 0, 0)]


# ---- arguments that run code of their own


class Text(str):
    """A subclass of a plain type: what it writes is its own business."""

    def __format__(self, _spec):
        return "always the same"

    __hash__ = str.__hash__


class Number(int):
    def __str__(self):
        return "number"

    def __format__(self, spec):
        return "number"


def test_subclasses_of_plain_types_write_their_own_text():
    load, loads = echo(TTLCache.cached("{}", 60))

    assert load(Text("a")) == load(Text("b")) == "a"
    assert load(Number(1)) == load(Number(2)) == load("number") == 1
    assert load("a") == "a"
    assert loads == ["a", 1, "a"]


def test_an_argument_that_changes_the_cache_while_it_is_looked_at():
    class Meddler:
        def __format__(self, _spec):
            load.clear()
            load.invalidate("x")
            load("x")
            for at in range(50):
                load.store.set(f"v:{at}", at, 60)
            gc.collect()
            return "meddler"

    load, loads = echo(TTLCache.cached("v:{}", 60, cache=InMemCache(max_entries=10)))
    meddler = Meddler()

    for _ in range(20):
        assert load(meddler) is meddler
        assert load("x") == "x"
    assert loads.count(meddler) == 20


def test_an_argument_whose_text_raises_raises():
    class Broken:
        def __format__(self, _spec):
            raise LookupError("no text")

    load, loads = echo(TTLCache.cached("{}", 60))

    for _ in range(3):
        with pytest.raises(LookupError, match="no text"):
            load(Broken())
    assert loads == []


def test_equal_hashes_and_lying_equality_confuse_nothing():
    class Liar:
        def __init__(self, name):
            self.name = name

        def __hash__(self):
            return 1

        def __eq__(self, other):
            return True

        def __str__(self):
            return self.name

    load, loads = echo(TTLCache.cached("{}", 60))
    liars = [Liar(name) for name in "abc"]

    for liar in liars * 3:
        assert load(liar) is liar
    assert loads == liars


def test_lone_surrogates_are_an_error_and_no_crash():
    load, _ = echo(TTLCache.cached("{}", 60))

    for _ in range(2):
        with pytest.raises(UnicodeEncodeError):
            load("\ud800")
