"""Messages of HTTP/1.1 on sockets, in heads and pieces of bodies. `proxy.py` is made of it."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

PIECE = 16 * 1024
"""How many bytes are read at once, and held at most between a server and a client."""

Framing = int | Literal["chunked", "until closed"]


@dataclass
class Head:
    """The first line and the headers of a message."""

    first: str
    headers: list[tuple[str, str]]

    def names(self) -> dict[str, str]:
        """Return the headers by their names in lower case; values of one name are joined with commas."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    def status(self) -> int:
        return int(self.first.split(" ")[1])

    def framing(self, otherwise: Framing) -> Framing:
        """Say where the body ends (RFC 9112, section 6.3)."""
        names = self.names()
        if names.get("transfer-encoding", "").lower().endswith("chunked"):
            return "chunked"
        return int(names["content-length"]) if "content-length" in names else otherwise

    def lasts(self) -> bool:
        """Say whether the server keeps the connection after this answer."""
        asked = self.names().get("connection", "").lower()
        return asked != "close" and (self.first.startswith("HTTP/1.1") or asked == "keep-alive")

    def rewritten(self, changes: Mapping[str, str | None]) -> Head:
        """Return the head with these headers, without those of one connection, and of HTTP/1.1."""
        gone = {"connection", "keep-alive", *(name.lower() for name in changes)}
        kept = [(name, value) for name, value in self.headers if name.lower() not in gone]
        added = [(name, value) for name, value in changes.items() if value is not None]
        return Head(self.first.replace("HTTP/1.0", "HTTP/1.1"), kept + added)

    def encode(self) -> bytes:
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")


class Wire:
    """A socket that speaks in heads and pieces of bodies."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected
        self._held = b""

    def head(self) -> Head | None:
        """Read the head of a message, or `None` if the connection ends first."""
        while b"\r\n\r\n" not in self._held:
            more = self.socket.recv(PIECE)
            if not more:
                return None
            self._held += more
        text, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = text.decode("latin-1").lstrip("\r\n").split("\r\n")
        fields = (line.partition(":") for line in lines)
        return Head(first, [(name, value.strip(" \t")) for name, _, value in fields])

    def pieces(self, framing: Framing) -> Iterator[tuple[bytes, bool]]:
        """Read a body piece by piece as it was sent, and say of each piece whether it is body or framing.

        Raises:
            ConnectionError: The connection ends before the body does.
        """
        if isinstance(framing, int):
            while framing > 0:
                piece = self._some(framing)
                framing -= len(piece)
                yield piece, True
        elif framing == "until closed":
            with contextlib.suppress(EOFError):
                while True:
                    yield self._some(PIECE), True
        else:
            size = -1
            while size != 0:
                line = self._line()
                yield line, False
                size = int(line.partition(b";")[0], 16)
                yield from self.pieces(size)
                if size:
                    yield self._line(), False
            while line != b"\r\n":
                line = self._line()
                yield line, False

    def _some(self, limit: int) -> bytes:
        if not self._held:
            self._held = self.socket.recv(PIECE)
        if not self._held:
            raise Ended("a body was cut off")
        piece, self._held = self._held[:limit], self._held[limit:]
        return piece

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += self._some(1)
        return line

    def tell(self, piece: bytes) -> bool:
        """Send all of it, and say whether the other side takes it."""
        try:
            self.socket.sendall(piece)
        except ConnectionError:
            return False
        return True

    def send_now(self, piece: bytes) -> int:
        """Send what fits without waiting, and say how much that was."""
        try:
            return self.socket.send(piece, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def wait_writable(self) -> None:
        waiting = select.poll()
        waiting.register(self.socket, select.POLLOUT)
        waiting.poll()

    def is_readable(self) -> bool:
        """Say whether there is something to read: between two answers that is the end of the connection."""
        waiting = select.poll()
        waiting.register(self.socket, select.POLLIN)
        return bool(waiting.poll(0))

    def shut(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close the connection with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Ended(ConnectionError, EOFError):
    """The connection ends where there should be more."""


def bind(port: int) -> socket.socket:
    """Take a port without listening on it: connections are refused."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
    listener.bind(("127.0.0.1", port))
    return listener
