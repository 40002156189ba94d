"""The proxy of the tests: what passes through it, what it counts, and how it breaks."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from proxy import Answer, Corrupt, Delay, Hang, Proxy, Reset, Rewrite, Truncate
from waiting import wait_until

MIB = 1024 * 1024


@dataclass
class Told:
    """What a server was told."""

    connections: int = 0
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)


@contextlib.contextmanager
def serving(told: Told) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            told.connections += 1
            super().setup()

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:
            told.requests.append((self.command, self.path, self._body()))
            status = int(self.headers.get("Status", 200))
            body = b"" if status in (204, 304) else b"x" * int(self.headers.get("Size", 10))
            self.send_response(status)
            self.send_header("Of-Host", self.headers["Host"])
            if "Chunked" in self.headers:
                self.send_header("Transfer-Encoding", "chunked")
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            elif status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_GET

        def _body(self) -> bytes:
            if "Transfer-Encoding" not in self.headers:
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def proxy(told: Told) -> Iterator[Proxy]:
    with serving(told) as url, Proxy(url) as made:
        yield made


@pytest.fixture
def client(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(connect(proxy)) as made:
        yield made


def connect(proxy: Proxy) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(proxy.url).port, timeout=30)


def ask(client, method="GET", path="/", body=None, **headers):
    client.request(method, path, body, headers)
    response = client.getresponse()
    return response, response.read()


# ---- what passes


def test_requests_pass_byte_for_byte(proxy, client, told):
    response, body = ask(client, "PUT", "/a//b/../%2F+%20?q=%20+&r", b"hello")

    assert told.requests == [("PUT", "/a//b/../%2F+%20?q=%20+&r", b"hello")]
    assert response.headers["Of-Host"] == proxy.url.removeprefix("http://")
    assert body == b"x" * 10


def test_exchanges_are_counted(proxy, client):
    ask(client, "PUT", "/p?q=1", b"hello", Size="100000")

    (seen,) = proxy.log
    assert (seen.method, seen.path, seen.query) == ("PUT", "/p", "q=1")
    assert (seen.sent, seen.received, seen.status) == (5, 100000, 200)
    assert seen.headers["size"] == "100000"
    proxy.clear()
    assert proxy.log == []


def test_chunks_pass_both_ways_and_are_counted_without_their_framing(proxy, client, told):
    client.request("PUT", "/", iter([b"one", b"two"]), {"Chunked": "1", "Size": "50000"}, encode_chunked=True)
    body = client.getresponse().read()

    assert told.requests[0][2] == b"onetwo"
    assert body == b"x" * 50000
    assert (proxy.log[0].sent, proxy.log[0].received) == (6, 50000)


def test_answers_without_a_body_leave_the_connection_open(proxy, client, told):
    statuses = [
        ask(client, "HEAD")[0].status,
        ask(client, Status="204")[0].status,
        ask(client, Status="304")[0].status,
        ask(client)[0].status,
    ]

    assert statuses == [200, 204, 304, 200]
    assert [seen.received for seen in proxy.log] == [0, 0, 0, 10]
    assert told.connections == 1


def test_a_client_that_expects_to_continue_is_told_to(proxy):
    with socket.create_connection(("127.0.0.1", connect(proxy).port), timeout=30) as raw:
        raw.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"hello")
        assert raw.recv(12) == b"HTTP/1.1 200"


def test_a_body_that_nobody_reads_is_not_transferred(proxy, client):
    client.request("GET", "/", headers={"Size": str(10 * MIB)})
    response = client.getresponse()
    response.close()
    client.close()

    wait_until(lambda: proxy.log[0].ended)
    assert proxy.log[0].received < MIB


# ---- faults


def test_an_answer_in_place_of_the_server(proxy, client, told):
    proxy.fault(Answer(503, {"Retry-After": "1"}, b"later"), times=2)

    response, body = ask(client, "PUT", body=b"hello")
    assert (response.status, response.headers["Retry-After"], body) == (503, "1", b"later")
    assert ask(client)[0].status == 503
    assert ask(client)[0].status == 200
    assert len(told.requests) == 1
    assert [(seen.status, seen.sent, seen.received) for seen in proxy.log] == [(503, 5, 5), (503, 0, 5), (200, 0, 10)]


def test_a_fault_strikes_only_what_matches(proxy, client):
    proxy.fault(Answer(500), times=None, method="PUT", path_contains="bad")

    assert ask(client, "PUT", "/good")[0].status == 200
    assert ask(client, "GET", "/bad")[0].status == 200
    assert [ask(client, "PUT", "/bad")[0].status for _ in range(3)] == [500] * 3
    proxy.heal()
    assert ask(client, "PUT", "/bad")[0].status == 200


@pytest.mark.parametrize("after", [None, 0, 1000])
def test_a_connection_that_is_reset(proxy, client, told, after):
    proxy.fault(Reset(after))

    with pytest.raises(ConnectionResetError):
        ask(client, Size="100000")

    assert proxy.log[0].received == (after or 0)
    assert len(told.requests) == 1


@pytest.mark.parametrize("chunked", [{}, {"Chunked": "1"}])
def test_a_body_that_ends_early(proxy, client, chunked):
    proxy.fault(Truncate(1000))

    with pytest.raises(http.client.IncompleteRead):
        ask(client, Size="100000", **chunked)

    assert proxy.log[0].received == 1000


@pytest.mark.parametrize("size", [1, 10, 100001])
def test_a_body_that_is_corrupted_keeps_its_length(proxy, client, size):
    proxy.fault(Corrupt())

    _, body = ask(client, Size=str(size))

    assert len(body) == size
    assert 0 < size - body.count(b"x") <= 8


def test_headers_that_are_rewritten(proxy, client):
    proxy.fault(Rewrite({"of-host": None, "SERVER": "other", "New": "1"}))

    response, body = ask(client)

    assert (response.headers["Of-Host"], response.headers["Server"], response.headers["New"]) == (None, "other", "1")
    assert body == b"x" * 10


@pytest.mark.parametrize("fault", [Hang(), Delay(3600)])
def test_what_hangs_goes_on_when_the_proxy_is_healed(proxy, client, told, fault):
    proxy.fault(fault)

    client.request("GET", "/")
    wait_until(lambda: proxy.log)
    assert (proxy.log[0].status, told.requests) == (0, [])
    proxy.heal()
    assert client.getresponse().read() == b"x" * 10


def test_what_hangs_is_dropped_when_the_proxy_ends(told):
    with serving(told) as url:
        with Proxy(url) as proxy, contextlib.closing(connect(proxy)) as client:
            proxy.fault(Hang())
            client.request("GET", "/")
            wait_until(lambda: proxy.log)
        with contextlib.closing(connect(proxy)) as late, pytest.raises(ConnectionRefusedError):
            ask(late)
    assert told.requests == []


def test_a_proxy_that_is_paused_drops_and_refuses_until_it_is_resumed(proxy, client):
    url = proxy.url
    ask(client)

    proxy.pause()
    with pytest.raises(ConnectionError):
        ask(client)
    client.close()
    with pytest.raises(ConnectionRefusedError):
        ask(client)
    client.close()

    proxy.resume()
    assert proxy.url == url
    assert ask(client)[0].status == 200


def test_a_server_that_is_gone_is_a_bad_gateway(told):
    with serving(told) as url:
        pass
    with Proxy(url) as proxy, contextlib.closing(connect(proxy)) as client:
        assert ask(client)[0].status == 502
