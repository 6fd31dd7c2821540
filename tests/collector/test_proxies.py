"""Proxies, asked for real: a small one in this file, before plain and encrypted backends."""

import base64
import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.aws.api import Api
from hoptrace_collector.aws.credentials import CredentialsSource
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.proxies import Proxies, Proxy, parse_proxies
from hoptrace_collector.settings import Aws, Secret, parse_url, read

from .support import Backend, certificate_for, free_port


class SmallProxy:
    """A proxy that knows CONNECT and absolute addresses; asks for `password` (`name:password`) where there is one.

    Every host is this machine, so that a test may ask for one that is not its own.
    """

    def __init__(self, password: str = "", refuse: int = 0) -> None:
        self.asked: list[str] = []
        self._password = password
        self._refuse = refuse
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._one, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                chunk = connection.recv(65536)
                if not chunk:
                    return
                data += chunk
            head, _, rest = data.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            method, target, _ = lines[0].split(" ")
            self.asked.append(f"{method} {target}")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            wanted = "Basic " + base64.b64encode(self._password.encode()).decode()
            if self._password and headers.get("proxy-authorization") != wanted:
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                return
            if self._refuse:
                connection.sendall(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % self._refuse)
                return
            where = target if method == "CONNECT" else target.partition("://")[2].partition("/")[0]
            port = int(where.rpartition(":")[2]) if ":" in where else 80
            with socket.create_connection(("127.0.0.1", port)) as upstream:
                if method == "CONNECT":
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    path = "/" + target.partition("://")[2].partition("/")[2]
                    kept = [line for line in lines[1:] if not line.lower().startswith("proxy-")]
                    upstream.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "", ""]).encode() + rest)
                back = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
                back.start()
                _copy(connection, upstream)
                back.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate_for("backend.example", tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def encrypted(certificate: tuple[Path, Path]) -> Iterator[Backend]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    with Backend() as backend:
        backend._server.socket = context.wrap_socket(backend._server.socket, server_side=True)
        yield backend


def send(**env: str) -> tuple[str, str]:
    settings, complaints = read(env)
    assert not complaints, complaints
    result = exporter_for("traces", settings.traces).send(b"", time.monotonic() + 5)
    return result.kind, result.reason


def test_https_goes_through_the_proxy_and_is_verified_end_to_end(certificate: tuple[Path, Path]) -> None:
    with SmallProxy() as proxy, encrypted(certificate) as backend:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://backend.example:{backend.port}",
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        }
        assert send(**env, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate[1])) == ("sent", "")
        assert proxy.asked == [f"CONNECT backend.example:{backend.port}"]
        assert backend.requests[0].headers["host"] == f"backend.example:{backend.port}"
        kind, reason = send(**env)
        assert (kind, "ertificate" in reason) == ("retry", True), "the proxy is not trusted in the backend's place"
        assert len(backend.requests) == 1


def test_a_connection_through_a_proxy_is_kept(certificate: tuple[Path, Path]) -> None:
    with SmallProxy() as proxy, encrypted(certificate) as backend:
        settings, _ = read(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://backend.example:{backend.port}",
                "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
                "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate[1]),
            }
        )
        exporter = exporter_for("traces", settings.traces)
        assert [exporter.send(b"", time.monotonic() + 5).kind for _ in range(3)] == ["sent"] * 3
        assert (len(backend.requests), len(proxy.asked)) == (3, 1)
        exporter._connections.close()  # type: ignore[attr-defined]


def test_http_goes_to_the_proxy_with_the_whole_address() -> None:
    with SmallProxy("u ser:p@ss") as proxy, Backend() as backend:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://backend.example:{backend.port}",
            "HTTP_PROXY": f"http://u%20ser:p%40ss@127.0.0.1:{proxy.port}/",
        }
        assert send(**env) == ("sent", "")
        assert proxy.asked == [f"POST http://backend.example:{backend.port}/v1/traces"]
        assert "proxy-authorization" not in backend.requests[0].headers


def test_a_proxy_that_does_not_let_through_is_a_failure_that_says_so() -> None:
    with SmallProxy("a:b") as proxy:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://backend.example", "HTTPS_PROXY": f"c:d@127.0.0.1:{proxy.port}"}
        kind, reason = send(**env)
        assert kind == "retry"
        assert reason == f"by the proxy 127.0.0.1:{proxy.port}: it wants another user name or password (HTTP 407)"
    with SmallProxy(refuse=503) as proxy:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://backend.example", "HTTPS_PROXY": f"127.0.0.1:{proxy.port}"}
        assert send(**env)[1].endswith("it does not connect to backend.example (HTTP 503)")
    kind, reason = send(OTEL_EXPORTER_OTLP_ENDPOINT="http://x.example", HTTP_PROXY=f"http://127.0.0.1:{free_port()}")
    assert (kind, "efused" in reason) == ("retry", True)


def test_a_proxy_that_never_answers_is_cut_off_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings, _ = read(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://x.example", "https_proxy": f"http://127.0.0.1:{port}"}
        )
        started = time.monotonic()
        assert exporter_for("traces", settings.traces).send(b"", started + 0.3).kind == "retry"
        assert time.monotonic() - started < 0.6


def test_alerts_and_secrets_go_by_the_proxy_too() -> None:
    with SmallProxy() as proxy, Backend((200, {}, b"{}")) as backend:
        proxies, _ = parse_proxies(f"http://127.0.0.1:{proxy.port}", "", "")
        credentials = CredentialsSource(Aws(access_key="AK", secret_key=Secret("SK")))
        url = parse_url(f"http://aws.example:{backend.port}/")
        api = Api("ssm", url, "eu-west-1", credentials, proxies=proxies)
        assert api.call("AmazonSSM.GetParameter", {}, time.monotonic() + 5).status == 200
        assert proxy.asked == [f"POST http://aws.example:{backend.port}/"]


HTTP, HTTPS = Proxy(parse_url("http://h:1")), Proxy(parse_url("http://s:2"))


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("", "https://example.com", False),
        ("*", "https://example.com", True),
        ("example.com", "https://example.com", True),
        ("example.com", "https://api.example.com", True),
        (".example.com", "https://api.example.com", True),
        ("*.example.com", "https://api.example.com", True),
        ("example.com", "https://notexample.com", False),
        ("EXAMPLE.com", "https://api.Example.COM.", True),
        ("example.com:4318", "https://example.com:4318", True),
        ("example.com:4318", "https://example.com", False),
        ("example.com:443", "https://example.com", True),
        ("a.example , b.example", "https://b.example", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.0.0.1", "http://10.0.0.1:8080", True),
        ("10.0.0.1:80", "http://10.0.0.1:8080", False),
        ("fd00::/8", "http://[fd12::1]", True),
        ("[fd12::1]:80", "http://[fd12::1]", True),
        ("fd12::1", "http://[fd12:0::1]", True),
        ("0.0.0.0/0", "http://[fd12::1]", False),
        ("10.0.0.0/x", "http://10.0.0.1", False),
        ("", "http://localhost:4318", True),
        ("", "http://127.0.0.9", True),
        ("", "http://[::1]", True),
        ("", "http://169.254.100.1:9001", True),
        ("", "http://169.254.170.2/v2/credentials", True),
        ("", "http://[fe80::1]", True),
    ],
)
def test_who_is_asked_directly(exempt: str, url: str, direct: bool) -> None:
    entries = tuple(entry.strip().lower() for entry in exempt.split(",") if entry.strip())
    found = Proxies(HTTP, HTTPS, entries).of(parse_url(url))
    assert found == (None if direct else HTTPS if url.startswith("https") else HTTP)


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_networks_are_those_of_the_standard_library(address: object, base: object, length: int) -> None:
    length = min(length, 32 if base.version == 4 else 128)  # type: ignore[attr-defined]
    network = ipaddress.ip_network((base, length), strict=False)
    host = f"[{address}]" if address.version == 6 else str(address)  # type: ignore[attr-defined]
    url = parse_url(f"http://{host}")
    local = Proxies(HTTP).of(url) is None
    exempt = Proxies(HTTP, None, (f"{base}/{length}",)).of(url) is None
    assert exempt == (local or address in network)


def test_small_letters_win_and_what_cannot_be_used_is_complained_of_without_the_password() -> None:
    settings, complaints = read({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2", "no_proxy": "c"})
    assert settings.proxies == Proxies(None, Proxy(parse_url("http://b:2")), ("c",))
    assert not complaints
    settings, complaints = read({"HTTPS_PROXY": "socks5://u:s3cret@h:1"})
    assert settings.proxies == Proxies()
    assert len(complaints) == 1
    assert complaints[0].startswith("HTTPS_PROXY is not a proxy that can be used: it must begin with http://")
    assert "s3cret" not in complaints[0] + repr(parse_proxies("http://u:s3cret@h", "", ""))
    assert read({})[0].proxies is None
