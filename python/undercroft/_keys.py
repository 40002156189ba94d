"""Keys of calls: what a function takes, and how arguments become text."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import inspect
import itertools
import pathlib
import threading
import uuid
import weakref
from collections.abc import Callable
from typing import Any

from . import _native

_Parameter = inspect.Parameter
_AS_REPR = (
    bytes,
    complex,
    dt.date,
    dt.datetime,
    dt.time,
    dt.timedelta,
    dt.timezone,
    decimal.Decimal,
    fractions.Fraction,
    range,
    slice,
    uuid.UUID,
)


class Auto(str):
    """The key of a decorator that was given none: made of all arguments, in the function's own namespace."""

    __slots__ = ()


AUTO = Auto("{}")


def is_method(function: Callable[..., Any]) -> bool:
    """Say whether a function looks like a method: defined in a class, with an instance or class in front."""
    parent, _, _ = getattr(function, "__qualname__", "").rpartition(".")
    if not parent or parent.endswith("<locals>"):
        return False
    names = list(inspect.signature(function).parameters)
    return bool(names) and names[0] in ("self", "cls", "mcs")


def plan(
    function: Callable[..., Any],
    key: str | Callable[..., Any],
    *,
    method: bool,
    version: str | int | None = None,
    old: str | None = None,
) -> tuple[dict[str, Any], str]:
    """Say how keys of calls of `function` are made, and with what they all begin.

    Raises:
        ConfigInvalid: The template names something that the function does not take.
    """
    parameters = [item for item in inspect.signature(function).parameters.values() if item.name != old]
    named = [item for item in parameters if item.kind not in (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD)]
    positional = [item for item in named if item.kind is not _Parameter.KEYWORD_ONLY]
    kinds = {item.kind for item in parameters}
    suffix = "" if version is None else f"@{version}"
    made: dict[str, Any] = {
        "names": [item.name for item in named],
        "defaults": {item.name: item.default for item in named if item.default is not _Parameter.empty},
        "positional": len(positional),
        "suffix": suffix,
    }
    name = getattr(function, "__qualname__", repr(function))
    if isinstance(key, Auto):
        made["prefix"] = f"{getattr(function, '__module__', '?')}.{name}"
        made["token"] = token
        return made, made["prefix"]
    if callable(key):
        made["callable"] = key
        return made, ""
    if not isinstance(key, str):
        message = f"a key is a template or a callable, not `{type(key).__name__}`"
        raise TypeError(message)
    _native.check_template(
        key,
        name,
        made["names"],
        max(0, len(positional) - int(method)),
        _Parameter.VAR_POSITIONAL in kinds,
        _Parameter.VAR_KEYWORD in kinds,
    )
    literal, is_fixed = _literal(key)
    made["fixed" if is_fixed else "template"] = literal if is_fixed else key
    return made, literal


def _literal(template: str) -> tuple[str, bool]:
    """Return the text before the first placeholder, and whether there is none."""
    text = []
    rest = template
    while True:
        head, brace, tail = rest.partition("{")
        text.append(head.replace("}}", "}"))
        if not brace:
            return "".join(text), True
        if not tail.startswith("{"):
            return "".join(text), False
        text.append("{")
        rest = tail[1:]


def token(value: Any) -> str:
    """Return a text for an argument that no other value shares.

    Raises:
        TypeError: Nothing tells the value from others for as long as it lives.
    """
    if isinstance(value, str):
        text = repr(str(value)) if type(value) is str else f"{type(value).__qualname__}({str(value)!r})"
    elif value is None or type(value) in (bool, int, float) or type(value) in _AS_REPR:
        text = repr(value)
    elif isinstance(value, enum.Enum):
        text = f"{type(value).__module__}.{type(value).__qualname__}.{value.name}"
    elif isinstance(value, pathlib.PurePath):
        text = f"{type(value).__name__}({str(value)!r})"
    elif type(value) in (list, tuple):
        text = f"{'[' if type(value) is list else '('}{','.join(map(token, value))}]"
    elif type(value) in (set, frozenset):
        text = f"{type(value).__name__}{{{','.join(sorted(map(token, value)))}}}"
    elif type(value) is dict:
        text = f"{{{','.join(sorted(f'{token(k)}:{token(v)}' for k, v in value.items()))}}}"
    elif isinstance(value, type) or inspect.isroutine(value):
        text = f"<{value.__module__}.{value.__qualname__}>" if "<locals>" not in value.__qualname__ else identity(value)
    elif dataclasses.is_dataclass(value) and type(value).__eq__ is not object.__eq__:
        fields = ",".join(f"{item.name}={token(getattr(value, item.name))}" for item in dataclasses.fields(value))
        text = f"{type(value).__module__}.{type(value).__qualname__}({fields})"
    else:
        text = identity(value)
    return text


_numbers = itertools.count(1)
_identities: dict[int, tuple[weakref.ref[Any], int]] = {}
_lock = threading.Lock()


def identity(value: Any) -> str:
    """Return a text that belongs to this object alone for as long as it lives; addresses are reused, this is not.

    Raises:
        TypeError: The object cannot be watched, so nobody would know when its address is another's.
    """
    address = id(value)
    known = _identities.get(address)
    if known is None or known[0]() is not value:
        try:
            # The callback may come late, when the address is already another's: it removes only its own entry.
            watch = weakref.ref(value, lambda ref: _forget(address, ref))
        except TypeError:
            message = (
                f"an argument of type `{type(value).__name__}` cannot be part of a default key: "
                "give a key template or a callable that says what tells such objects apart"
            )
            raise TypeError(message) from None
        with _lock:
            known = _identities.get(address)
            if known is None or known[0]() is not value:
                known = _identities[address] = (watch, next(_numbers))
    return f"<{type(value).__qualname__}#{known[1]}>"


def _forget(address: int, ref: weakref.ref[Any]) -> None:
    known = _identities.get(address)
    if known is not None and known[0] is ref:
        _identities.pop(address, None)
