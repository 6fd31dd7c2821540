"""Connections that are kept: used again where they live, opened anew where they died, never trusted blindly."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hoptrace_collector.connections import KEPT_FOR, Certificates, Connections
from hoptrace_collector.settings import parse_url
from hoptrace_collector.transport import TransportError

SYSTEMS = Certificates()
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Peer:
    """Serves each connection by `serve(connection, its number)`, and counts them."""

    def __init__(self, serve: Callable[[socket.socket, int], None], context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._serve = serve
        self._context = context
        self._server = socket.create_server(("127.0.0.1", 0))
        self.scheme = "https" if context else "http"
        self.url = parse_url(f"{self.scheme}://localhost:{self._server.getsockname()[1]}/v1/traces")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection, self.connections), daemon=True).start()

    def _one(self, connection: socket.socket, number: int) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self._serve(connection, number)
        except OSError:
            pass

    def read(self, connection: socket.socket) -> bool:
        """Read one request with a body of one byte; false at the end."""
        data = b""
        while b"\r\n\r\n" not in data or not data.partition(b"\r\n\r\n")[2]:
            chunk = connection.recv(4096)
            if not chunk:
                return False
            data += chunk
        self.requests.append(data)
        return True

    def close(self) -> None:
        self._server.close()


@contextmanager
def peer(serve: Callable[[Peer, socket.socket, int], None], context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    made = Peer(lambda connection, number: serve(made, connection, number), context)
    try:
        yield made
    finally:
        made.close()


def patient(answer: bytes = OK) -> Callable[[Peer, socket.socket, int], None]:
    def serve(self: Peer, connection: socket.socket, _: int) -> None:
        while self.read(connection):
            connection.sendall(answer)

    return serve


def post(connections: Connections, url: object, seconds: float = 2.0, certificates: Certificates = SYSTEMS) -> bytes:
    answer = connections.request(
        "POST",
        url,  # type: ignore[arg-type]
        [("a", "b")],
        b"x",
        deadline=time.monotonic() + seconds,
        certificates=certificates,
    )
    return answer.body


def test_one_connection_does_for_many_requests() -> None:
    connections = Connections()
    with peer(patient()) as there:
        assert [post(connections, there.url) for _ in range(5)] == [b"ok"] * 5
        assert there.connections == connections.opened == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", id="that says close"),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", id="of HTTP/1.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP", id="with something behind"),
    ],
)
def test_no_request_follows_an_answer(answer: bytes) -> None:
    connections = Connections()
    with peer(patient(answer)) as there:
        assert [post(connections, there.url) for _ in range(2)] == [b"ok"] * 2
        assert there.connections == 2


def test_a_request_follows_an_answer_in_chunks() -> None:
    connections = Connections()
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n"
    with peer(patient(chunked)) as there:
        assert [post(connections, there.url) for _ in range(3)] == [b"ok"] * 3
        assert there.connections == 1


def test_a_connection_that_the_other_side_has_closed_is_seen_before_anything_is_sent_on_it() -> None:
    gone = threading.Event()

    def serve(self: Peer, connection: socket.socket, _: int) -> None:
        self.read(connection)
        connection.sendall(OK)
        connection.close()
        gone.set()

    connections = Connections()
    with peer(serve) as there:
        post(connections, there.url)
        assert gone.wait(2)
        time.sleep(0.02)
        post(connections, there.url)
        assert len(there.requests) == there.connections == 2


def test_a_connection_that_dies_under_a_request_is_replaced_once_and_only_where_it_was_a_kept_one() -> None:
    def serve(self: Peer, connection: socket.socket, number: int) -> None:
        for answered in range(2):
            self.read(connection)
            if number > 1 or answered:
                return  # read and closed without an answer
            connection.sendall(OK)

    connections = Connections()
    with peer(serve) as there:
        post(connections, there.url)
        with pytest.raises(TransportError) as caught:
            post(connections, there.url)
        assert caught.value.lost
        assert there.connections == 2, "one new connection, and no third"
        assert len(there.requests) == 3
        with pytest.raises(TransportError):
            post(connections, there.url)
        assert there.connections == 3


def test_a_request_that_is_not_answered_in_time_is_not_sent_twice() -> None:
    def serve(self: Peer, connection: socket.socket, _: int) -> None:
        self.read(connection)
        connection.sendall(OK)
        self.read(connection)
        time.sleep(0.5)

    connections = Connections()
    with peer(serve) as there:
        post(connections, there.url)
        with pytest.raises(TransportError) as caught:
            post(connections, there.url, 0.1)
        assert not caught.value.lost
        assert there.connections == 1


def test_an_answer_that_breaks_off_is_not_asked_for_again() -> None:
    def serve(self: Peer, connection: socket.socket, _: int) -> None:
        self.read(connection)
        connection.sendall(OK)
        self.read(connection)
        connection.sendall(OK[:20])

    connections = Connections()
    with peer(serve) as there:
        post(connections, there.url)
        with pytest.raises(TransportError):
            post(connections, there.url)
        assert there.connections == 1


def test_after_a_freeze_the_connection_is_opened_anew() -> None:
    now = [1000.0]
    connections = Connections(now=lambda: now[0])
    with peer(patient()) as there:
        post(connections, there.url)
        now[0] += KEPT_FOR + 1
        post(connections, there.url)
        now[0] -= 500  # a clock that was set back says nothing about the age
        post(connections, there.url)
        assert there.connections == 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    path: Path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", path / "key", "-out", path / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(path / "cert"), str(path / "key")


def test_https_keeps_the_connection_and_takes_its_session_up_again(certificate: tuple[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    reused = []

    def serve(self: Peer, connection: socket.socket, number: int) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        reused.append(connection.session_reused)
        for _ in range(2):
            if not self.read(connection):
                return
            connection.sendall(OK)

    connections, trust = Connections(), Certificates(trusted=certificate[0])
    with peer(serve, context) as there:
        for _ in range(4):
            post(connections, there.url, certificates=trust)
            time.sleep(0.02)
        assert there.connections == 2
        assert reused == [False, True]
