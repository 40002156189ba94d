"""Keys of calls: what a function takes, and how arguments become text."""

from __future__ import annotations

import collections
import dataclasses
import enum
import inspect
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from . import _native

_Parameter = inspect.Parameter
#: By name: their modules are not imported before somebody has such a value.
_AS_REPR = frozenset(
    {
        "builtins.bytes",
        "builtins.complex",
        "builtins.range",
        "builtins.slice",
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "datetime.timezone",
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
    }
)


class Auto(str):
    """The key of a decorator that was given none: made of all arguments, in the function's own namespace."""

    __slots__ = ()


AUTO = Auto("{}")


class Fixed(str):
    """A key that stands as it is, braces and all."""

    __slots__ = ()


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
        "positional_only": sum(item.kind is _Parameter.POSITIONAL_ONLY for item in named),
        "defaults": {item.name: item.default for item in named if item.default is not _Parameter.empty},
        "positional": len(positional),
        # What wraps another function has that one's signature, and may be called in other ways.
        "checked": not hasattr(function, "__wrapped__"),
        # A call may also give the parameter for the old value, which is not among these.
        "any_position": _Parameter.VAR_POSITIONAL in kinds or old is not None,
        "any_name": _Parameter.VAR_KEYWORD in kinds or old is not None,
        "suffix": suffix,
    }
    name = getattr(function, "__qualname__", repr(function))
    if isinstance(key, Fixed):
        made["fixed"] = str(key)
        return made, ""
    if isinstance(key, Auto):
        made["prefix"] = f"{getattr(function, '__module__', '?')}.{name}"
        made["token"] = token
        return made, f"{made['prefix']}("
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
        # The first placeholder without a name also takes the first parameter that is given by keyword alone.
        max(len(positional) - int(method), 1 if _Parameter.KEYWORD_ONLY in kinds else 0),
        _Parameter.VAR_POSITIONAL in kinds,
        _Parameter.VAR_KEYWORD in kinds,
    )
    literal, is_fixed = _literal(key)
    made["fixed" if is_fixed else "template"] = literal if is_fixed else key
    return made, "" if is_fixed else literal


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


def token(value: Any) -> str:  # noqa: PLR0912  # one branch for each kind of value
    """Return a text for an argument that no other value shares.

    Raises:
        TypeError: Nothing tells the value from others for as long as it lives.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str) or _name(kind) in _AS_REPR:
        text = repr(value)
    elif isinstance(value, enum.Enum):
        text = f"{_name(kind)}({token(value.value)})"
    elif isinstance(value, str | int | float):
        base = next(base for base in (str, int, float) if isinstance(value, base))
        text = f"{_name(kind)}({base.__repr__(value)})"
    elif isinstance(value, _paths()):
        text = f"{kind.__name__}({str(value)!r})"
    elif isinstance(value, list | tuple | collections.deque):
        text = (
            f"{'' if kind in (list, tuple) else _name(kind)}{'(' if isinstance(value, tuple) else '['}{_joined(value)}]"
        )
    elif isinstance(value, set | frozenset):
        text = f"{_name(kind)}{{{','.join(sorted(map(token, value)))}}}"
    elif isinstance(value, dict):
        pairs = [f"{token(key)}:{token(item)}" for key, item in value.items()]
        # The order counts where it counts for equality.
        text = f"{_name(kind)}{{{','.join(pairs if isinstance(value, collections.OrderedDict) else sorted(pairs))}}}"
    elif inspect.ismethod(value):
        text = f"{token(value.__func__)} of {token(value.__self__)}"
    elif inspect.isbuiltin(value) and value.__self__ is not None and not inspect.ismodule(value.__self__):
        text = f"{value.__qualname__} of {token(value.__self__)}"
    elif isinstance(value, type) or inspect.isroutine(value) or inspect.ismodule(value):
        text = _name(value) if _is_found_by_name(value) else identity(value)
    elif dataclasses.is_dataclass(value) and "__eq__" in vars(kind):
        fields = ",".join(f"{item.name}={token(getattr(value, item.name))}" for item in dataclasses.fields(value))
        text = f"{_name(kind)}({fields})"
    elif kind.__hash__ is None:
        raise _untold(value)
    else:
        text = identity(value)
    return text


def _paths() -> tuple[type, ...]:
    """Return the class of paths, where anybody has imported it."""
    pathlib = sys.modules.get("pathlib")
    return () if pathlib is None else (pathlib.PurePath,)


def _joined(values: Iterable[Any]) -> str:
    return ",".join(map(token, values))


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', getattr(thing, '__name__', ''))}"


def _is_found_by_name(thing: Any) -> bool:
    """Say whether the name of a class, function or module leads to it and to nothing else."""
    if inspect.ismodule(thing):
        return sys.modules.get(thing.__name__) is thing
    found: Any = sys.modules.get(getattr(thing, "__module__", None) or "")
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


def _untold(value: Any) -> TypeError:
    return TypeError(
        f"an argument of type `{type(value).__name__}` cannot be part of a default key: "
        "give a key template or a callable that says what tells such objects apart"
    )


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
            raise _untold(value) from None
        with _lock:
            known = _identities.get(address)
            if known is None or known[0]() is not value:
                known = _identities[address] = (watch, next(_numbers))
    return f"<{type(value).__qualname__}#{_process}-{known[1]}>"


def _renew_process() -> None:
    """Name this process: a store may outlive it, and numbers begin anew in each."""
    global _process  # noqa: PLW0603
    _process = os.urandom(8).hex()


_process = ""
_renew_process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_process)


def _forget(address: int, ref: weakref.ref[Any]) -> None:
    known = _identities.get(address)
    if known is not None and known[0] is ref:
        _identities.pop(address, None)
