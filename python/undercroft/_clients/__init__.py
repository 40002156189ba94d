"""Clients of users: what they lend to our own, and buckets that they serve themselves."""

from __future__ import annotations

from typing import Any, Protocol

#: What stands beside a body: content type, content encoding, user metadata.
About = tuple[str | None, str | None, dict[str, str]]

#: What is known of an object: content type, content encoding, user metadata, length in bytes, version.
Attributes = tuple[str | None, str | None, list[tuple[str, str]], int, str | None]


class Bucket(Protocol):
    """A bucket that a user's client serves. Each method is one call of the client; nothing is decided here.

    Attributes:
        label: What tells it from others.
    """

    label: str

    def head(self, name: str) -> Attributes | None:
        """Return what is known of an object, or `None`."""

    def get(self, name: str, known: str | None) -> tuple[Attributes, bytes] | bool | None:
        """Return an object; `True` when the version `known` is still current, `None` when there is none."""

    def part(self, name: str, version: str, start: int, end: int) -> bytes:
        """Return a part of an object, `end` excluded."""

    def put(self, name: str, about: About, body: bytes, absent: bool, matches: str | None) -> bool:
        """Write an object, perhaps only if there is none, or that version; say whether it was written."""

    def renew(self, name: str, about: About, version: str) -> bool:
        """Replace what stands beside a body if the object still has that version; say whether it had."""

    def delete(self, name: str) -> None:
        """Delete an object; a missing one is no error."""

    def delete_many(self, names: list[str]) -> None:
        """Delete several objects."""

    def list(self, prefix: str, after: str | None) -> tuple[list[str], str | None]:
        """Return a page of names, and where the next one begins."""


def read(body: Any) -> bytes:
    """Return all bytes of a body: bytes, or a stream."""
    return bytes(body.read()) if hasattr(body, "read") else bytes(body)
