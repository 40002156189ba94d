"""What tests of calls share: loaders that keep what they were called with."""

from __future__ import annotations

import functools


class Value:
    """A result that can be watched."""

    def __init__(self, of=None):
        self.of = of


def counted(decorator, function=None):
    """Return a cached function, and the list of what its loader was called with."""
    loads = []

    @decorator
    @functools.wraps(function or (lambda *_args, **_kwargs: None))
    def load(*args, **kwargs):
        loads.append((args, kwargs))
        return len(loads)

    return load, loads


def echo(decorator):
    loads = []

    @decorator
    def load(value):
        loads.append(value)
        return value

    return load, loads
