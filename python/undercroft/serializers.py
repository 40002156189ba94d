"""Serializers: how values become bytes. JSON and MessagePack are encoded and decoded in Rust."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

from . import _native


@runtime_checkable
class Serializer(Protocol):
    """What a serializer has to offer."""

    def dumps(self, obj: Any, /) -> bytes:
        """Return the bytes of a value."""

    def loads(self, data: bytes, /) -> Any:
        """Return the value of bytes."""


class PickleSerializer:
    """Python's pickle: almost any value, but only from sources you trust."""

    __undercroft_codec__: ClassVar[str] = "pickle"

    @staticmethod
    def dumps(obj: Any) -> bytes:
        """Return the bytes of a value."""
        import pickle as _pickle

        return _pickle.dumps(obj, protocol=5)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Return the value of bytes."""
        import pickle as _pickle

        return _pickle.loads(data)


class JsonSerializer:
    """JSON (RFC 8259): text, numbers, booleans, lists and dicts with text keys. Tuples come back as lists."""

    __undercroft_codec__: ClassVar[str] = "json"

    @staticmethod
    def dumps(obj: Any) -> bytes:
        """Return the bytes of a value."""
        return _native.codec_dumps("json", obj)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Return the value of bytes."""
        return _native.codec_loads("json", data)


class MsgpackSerializer:
    """MessagePack: what JSON takes, and bytes, and dicts with any scalar as key."""

    __undercroft_codec__: ClassVar[str] = "msgpack"

    @staticmethod
    def dumps(obj: Any) -> bytes:
        """Return the bytes of a value."""
        return _native.codec_dumps("msgpack", obj)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Return the value of bytes."""
        return _native.codec_loads("msgpack", data)


pickle = PickleSerializer()
json = JsonSerializer()
msgpack = MsgpackSerializer()
