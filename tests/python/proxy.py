"""A proxy for tests, before any HTTP/1.1 server: it counts what passes and breaks what it is told to break.

    with Proxy(server.url) as proxy:
        proxy.fault(Answer(503), times=2, method="GET")
        ...
        assert [seen.status for seen in proxy.log] == [503, 503, 200]

Requests pass byte for byte, `Host` and path included, so signatures stay valid; only what concerns one connection
(`Connection`, `Keep-Alive`, `Expect`) is the proxy's own. It never reads ahead of the client by more than one piece,
and its buffers are small, so a body that nobody reads is not transferred.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

from wire import Head, Wire, bind


@dataclass
class Seen:
    """An exchange: counts are of bytes of bodies, without the framing of chunks.

    `received` counts what was handed to the client's connection. `status` is 0 until there is an answer. `ended` says
    that nothing will change any more.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    sent: int = 0
    received: int = 0
    status: int = 0
    ended: bool = False


@dataclass(frozen=True)
class Answer:
    """Answers in place of the server, which does not hear of the request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reset:
    """Resets the connection after so many bytes of the answer's body; with `None`, before the answer begins.

    The server has done what was asked.
    """

    after: int | None = None


@dataclass(frozen=True)
class Truncate:
    """Passes the headers and so many bytes of the body, then closes the connection as if that were all."""

    after: int


@dataclass(frozen=True)
class Corrupt:
    """Flips bytes in the middle of the answer's body, or at the start of one whose length is not announced."""


@dataclass(frozen=True)
class Rewrite:
    """Replaces headers of the answer, adds those it lacks, and removes those that are `None`."""

    headers: Mapping[str, str | None]


@dataclass(frozen=True)
class Hang:
    """Neither answers nor passes on, until the proxy is healed. Then the request goes its way."""


@dataclass(frozen=True)
class Delay:
    """Passes the request on after so many seconds, or as soon as the proxy is healed."""

    seconds: float


Fault = Answer | Reset | Truncate | Corrupt | Rewrite | Hang | Delay


@dataclass
class _Planned:
    fault: Fault
    times: int | None
    method: str | None
    path_contains: str | None


class Proxy:
    """Stands before `upstream_url` on a port of its own, from `with` to the end of its block."""

    def __init__(self, upstream_url: str) -> None:
        parts = urllib.parse.urlsplit(upstream_url)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.lock = threading.Lock()
        self._healed = threading.Event()
        self._seen: list[Seen] = []
        self._planned: list[_Planned] = []
        self._connections: set[_Connection] = set()
        self._accepting: threading.Thread | None = None
        self._listener = bind(0)
        self._port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Proxy:
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._listener.close()

    @property
    def url(self) -> str:
        """Where clients connect. It stays the same over `pause` and `resume`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> list[Seen]:
        """The exchanges so far, in the order in which their requests came.

        What a client has read is counted: no waiting is needed before the log is read.
        """
        with self.lock:
            return [dataclasses.replace(seen) for seen in self._seen]

    def clear(self) -> None:
        """Forget the log."""
        with self.lock:
            self._seen.clear()

    def fault(
        self, fault: Fault, times: int | None = 1, method: str | None = None, path_contains: str | None = None
    ) -> None:
        """Break the next requests that match, `times` of them, or with `None` all until `heal`.

        Of the faults that match, the first strikes. `path_contains` looks at path and query, as they were sent.
        """
        with self.lock:
            self._planned.append(_Planned(fault, times, method, path_contains))

    def heal(self) -> None:
        """Forget the faults, and let go of the requests that hang or are delayed."""
        with self.lock:
            self._planned.clear()
            healed, self._healed = self._healed, threading.Event()
        healed.set()

    def pause(self) -> None:
        """Be down: drop all connections and refuse new ones. The port stays reserved."""
        self._stop()
        self._listener.close()
        self._listener = bind(self._port)

    def resume(self) -> None:
        """Be up again, on the same port. Nothing happens when it is up."""
        if self._accepting is None:
            self._listener.listen(128)
            self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
            self._accepting.start()

    # ---- for connections

    def take(self, seen: Seen, target: str) -> tuple[Fault | None, threading.Event]:
        """Write a request to the log, and say which fault strikes it and what tells that the proxy is healed."""
        with self.lock:
            self._seen.append(seen)
            for planned in self._planned:
                if planned.method not in (None, seen.method) or (planned.path_contains or "") not in target:
                    continue
                if planned.times is not None:
                    planned.times -= 1
                    if planned.times == 0:
                        self._planned.remove(planned)
                return planned.fault, self._healed
            return None, self._healed

    def leave(self, connection: _Connection) -> None:
        """Forget a connection that has ended."""
        with self.lock:
            self._connections.discard(connection)

    # ---- the listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            if self._accepting is None:
                client.close()
                return
            connection = _Connection(self, client)
            with self.lock:
                self._connections.add(connection)
            connection.thread.start()

    def _stop(self) -> None:
        accepting, self._accepting = self._accepting, None
        if accepting is not None:
            # Another thread's `accept` only returns for a connection: this is one.
            socket.create_connection(("127.0.0.1", self._port)).close()
            accepting.join()
        with self.lock:
            connections = list(self._connections)
        for connection in connections:
            connection.drop()
        with self.lock:
            healed, self._healed = self._healed, threading.Event()
        healed.set()
        for connection in connections:
            connection.thread.join()


class _Connection:
    """A client's connection, and the one to the server that serves it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy = proxy
        self.client = Wire(client)
        self.server: Wire | None = None
        self.dropped = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def drop(self) -> None:
        """End what this connection waits for. Its thread closes it."""
        with self.proxy.lock:
            self.dropped = True
            self.client.shut()
            if self.server is not None:
                self.server.shut()

    def _run(self) -> None:
        try:
            with contextlib.suppress(OSError):
                while self._exchange():
                    pass
        finally:
            self.proxy.leave(self)
            with self.proxy.lock:
                self.client.socket.close()
            self._hang_up()

    def _exchange(self) -> bool:
        """Serve one request, and say whether the connection may serve another."""
        head = self.client.head()
        if head is None:
            return False
        method, target, version = head.first.split(" ", 2)
        path, _, query = target.partition("?")
        seen = Seen(method, path, query, head.names())
        fault, healed = self.proxy.take(seen, target)
        try:
            lasts = not self.dropped and self._serve(head, seen, fault, healed)
        finally:
            seen.ended = True
        return lasts and version != "HTTP/1.0" and seen.headers.get("connection", "").lower() != "close"

    def _serve(self, head: Head, seen: Seen, fault: Fault | None, healed: threading.Event) -> bool:
        if isinstance(fault, Answer):
            return self._answer(head, seen, fault)
        if isinstance(fault, (Hang, Delay)):
            healed.wait(fault.seconds if isinstance(fault, Delay) else None)
            if self.dropped:
                return False
        try:
            server, answer = self._ask(head, seen)
        except OSError as error:
            self._hang_up()
            if not self.dropped:
                self._reply(seen, Answer(502, body=f"no answer from the server: {error}".encode()))
            return False
        return self._pass_answer(server, answer, seen, fault)

    def _answer(self, head: Head, seen: Seen, answer: Answer) -> bool:
        """Answer without the server. A client that waits for `100 Continue` keeps its body."""
        keeps_body = "expect" in seen.headers
        if not keeps_body:
            for piece, is_body in self.client.pieces(head.framing(0)):
                seen.sent += len(piece) * is_body
        self._reply(seen, answer)
        return not keeps_body

    def _reply(self, seen: Seen, answer: Answer) -> None:
        headers = list(answer.headers.items())
        if "content-length" not in (name.lower() for name, _ in headers) and answer.status not in (204, 304):
            headers.append(("Content-Length", str(len(answer.body))))
        seen.status = answer.status
        self._pass_on(Head(f"HTTP/1.1 {answer.status} Fault", headers).encode(), seen, is_body=False)
        if seen.method != "HEAD" and answer.status not in (204, 304):
            self._pass_on(answer.body, seen, is_body=True)

    def _ask(self, head: Head, seen: Seen) -> tuple[Wire, Head]:
        """Pass a request on, and read the head of the answer."""
        server = self._connect()
        self._pass_request(server, head, seen)
        answer = server.head()
        while answer is not None and answer.status() < 200:
            answer = server.head()
        if answer is None:
            raise ConnectionError("it closed the connection")
        return server, answer

    def _pass_answer(self, server: Wire, answer: Head, seen: Seen, fault: Fault | None) -> bool:
        if isinstance(fault, Reset) and fault.after is None:
            self.client.reset()
            return False
        bodiless = seen.method == "HEAD" or answer.status() in (204, 304)
        framing = 0 if bodiless else answer.framing("until closed")
        rewritten = answer.rewritten(fault.headers if isinstance(fault, Rewrite) else {})
        if framing == "until closed":
            rewritten.headers.append(("Connection", "close"))
        seen.status = answer.status()
        self._pass_on(rewritten.encode(), seen, is_body=False)

        limit = fault.after if isinstance(fault, (Reset, Truncate)) else None
        middle = framing // 2 if isinstance(framing, int) else 0
        for piece, is_body in server.pieces(framing):
            if is_body and limit is not None and seen.received + len(piece) >= limit:
                self._pass_on(piece[: limit - seen.received], seen, is_body=True)
                break
            is_struck = is_body and isinstance(fault, Corrupt)
            self._pass_on(_flip(piece, middle - seen.received) if is_struck else piece, seen, is_body=is_body)

        if isinstance(fault, Reset):
            self.client.reset()
        if not answer.lasts():
            self._hang_up()
        return limit is None and framing != "until closed"

    def _connect(self) -> Wire:
        """Return the connection to the server, or a new one if the server has closed it."""
        if self.server is not None and self.server.is_readable():
            self._hang_up()
        if self.server is None:
            server = Wire(socket.create_connection(self.proxy.upstream))
            with self.proxy.lock:
                self.server = server
                if self.dropped:
                    server.shut()
        return self.server

    def _hang_up(self) -> None:
        with self.proxy.lock:
            if self.server is not None:
                self.server.socket.close()
            self.server = None

    def _pass_request(self, server: Wire, head: Head, seen: Seen) -> None:
        """Pass a request on. Should the server stop listening, the rest is read all the same: it may have answered."""
        listens = server.tell(head.rewritten({"Expect": None}).encode())
        if "expect" in seen.headers:
            self._pass_on(b"HTTP/1.1 100 Continue\r\n\r\n", seen, is_body=False)
        for piece, is_body in self.client.pieces(head.framing(0)):
            seen.sent += len(piece) * is_body
            listens = listens and server.tell(piece)

    def _pass_on(self, piece: bytes, seen: Seen, *, is_body: bool) -> None:
        """Hand a piece to the client. It is counted before anybody can look at the log."""
        while piece:
            with self.proxy.lock:
                count = self.client.send_now(piece)
                seen.received += count * is_body
            piece = piece[count:]
            if piece:
                self.client.wait_writable()


def _flip(piece: bytes, at: int) -> bytes:
    """Flip those of the eight bytes from `at` on that are in the piece."""
    start, end = max(at, 0), max(at + 8, 0)
    return piece[:start] + bytes(byte ^ 0xFF for byte in piece[start:end]) + piece[max(start, end) :]
