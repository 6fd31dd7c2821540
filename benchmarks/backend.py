"""An OTLP backend that counts which spans it gets, cheaply enough for millions of them."""

import socket
import ssl
import subprocess
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Backend:
    """Takes everything, on connections that stay open; spans are told apart by their ids, which are small numbers."""

    def __init__(self, *, https: bool = False) -> None:
        self.requests = self.connections = 0
        self.certificate = ""
        self._counts = bytearray()
        self._context: ssl.SSLContext | None = None
        if https:
            self._context = self._secured()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if https else 'http'}://localhost:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def seen(self) -> Counter[int]:
        """How often each span has come, by its id."""
        return Counter({number: count for number, count in enumerate(self._counts) if count})

    def _secured(self) -> ssl.SSLContext:
        self._files = tempfile.TemporaryDirectory()
        key, self.certificate = Path(self._files.name) / "key", str(Path(self._files.name) / "cert")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        return context

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    length = 0
                    while (header := stream.readline()) not in (b"\r\n", b""):
                        name, _, value = header.partition(b":")
                        if name.lower() == b"content-length":
                            length = int(value)
                    self._take(line.split()[1], stream.read(length))
                    connection.sendall(_OK)
        except OSError:
            pass

    def _take(self, path: bytes, body: bytes) -> None:
        self.requests += 1
        if not path.endswith(b"/traces"):
            return
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    number = int.from_bytes(span.span_id, "big")
                    if number >= len(self._counts):
                        self._counts.extend(bytes(number + 1_000_000 - len(self._counts)))
                    self._counts[number] = min(255, self._counts[number] + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
