"""The loops that are timed. Each contender runs a copy of its own (see `measure.own_copy`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

REGION = "eu"


def nothing(users: Sequence[int]) -> None:
    """Goes round without a call: what the other loops cost by themselves."""
    for _ in users:
        pass


def without_arguments(call: Callable[..., object], users: Sequence[int]) -> None:
    """Calls with no argument."""
    for _ in users:
        call()


def one_positional(call: Callable[..., object], users: Sequence[int]) -> None:
    """Calls with one positional argument."""
    for user in users:
        call(user)


def one_to_method(target: Any, users: Sequence[int]) -> None:
    """Calls a method with one positional argument."""
    for user in users:
        target.load(user)


def pairs(call: Callable[..., object], keys: Sequence[str]) -> None:
    """Calls with a key and a value."""
    for key in keys:
        call(key, REGION)


def two_positional(call: Callable[..., object], users: Sequence[int]) -> None:
    """Calls with two positional arguments."""
    for user in users:
        call(user, REGION)


def two_keywords(call: Callable[..., object], users: Sequence[int]) -> None:
    """Calls with two keyword arguments."""
    for user in users:
        call(user_id=user, region=REGION)


async def awaited(call: Callable[..., Awaitable[object]], users: Sequence[int]) -> None:
    """Calls with one positional argument and awaits the answer."""
    for user in users:
        await call(user)


async def nothing_awaited(users: Sequence[int]) -> None:
    """Goes round without a call, inside an event loop."""
    for _ in users:
        pass
