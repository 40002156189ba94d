"""Caches in a directory behind one `get` and one `set(key, value, ttl)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Protocol

from .contender import UNDERCROFT
from .plain_files import PlainFiles

KEYS: Sequence[str] = tuple(f"item:{at:04}" for at in range(1000))
VALUE = Random(4).randbytes(4096)  # noqa: S311  (the same bytes in every process)
TTL = 3600


class Folder(Protocol):
    """An open cache."""

    def get(self, key: str) -> object:
        """Returns the value, or `None` on a miss."""
        ...

    def set(self, key: str, value: bytes, ttl: float, /) -> object:
        """Keeps a value for `ttl` seconds."""
        ...


@dataclass(frozen=True)
class FolderKind:
    """One library's disk cache, or one way of setting it up; `open` takes the directory."""

    name: str
    package: str
    open: Callable[[Path], Folder]
    heat: int = 0
    """Which race it runs in: 0 decides the bar. Deleting and syncing many files slows whoever comes next."""


def _undercroft(**options: object) -> Callable[[Path], Folder]:
    return lambda folder: import_module(UNDERCROFT).LocalFileCache(str(folder), **options)


def _diskcache(**options: object) -> Callable[[Path], Folder]:
    return lambda folder: import_module("diskcache").Cache(str(folder), **options)


OURS = FolderKind("undercroft raw", UNDERCROFT, _undercroft(serializer="raw"))
RIVAL = FolderKind("diskcache", "diskcache", _diskcache())
FOLDERS = (
    OURS,
    RIVAL,
    FolderKind("undercroft pickle (default)", UNDERCROFT, _undercroft(), heat=1),
    FolderKind("undercroft raw, durable", UNDERCROFT, _undercroft(serializer="raw", durable=True), heat=2),
    FolderKind("diskcache, synchronous=FULL", "diskcache", _diskcache(sqlite_synchronous=2), heat=2),
    FolderKind("plain files, no cache", "", PlainFiles, heat=2),
)
