"""A file for each key and nothing else: what the file system itself costs, for reading the other figures."""

from __future__ import annotations

import os
from pathlib import Path

WHOLE = 1 << 16


class PlainFiles:
    """Neither index, nor ttl, nor bound; a put is a file written aside and renamed, a get is open, read, close."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = f"{folder}{os.sep}"

    def get(self, key: str) -> bytes:
        """Reads the file of a key."""
        file = os.open(self._folder + key, os.O_RDONLY)
        value = os.read(file, WHOLE)
        os.close(file)
        return value

    def set(self, key: str, value: bytes, _: float, /) -> None:
        """Writes the file of a key, as a whole or not at all."""
        aside = self._folder + key + ".new"
        file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(file, value)
        os.close(file)
        os.replace(aside, self._folder + key)  # noqa: PTH105  (a path object would cost more than the call)
