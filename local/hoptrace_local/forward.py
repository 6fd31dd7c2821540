"""Hands OTLP bodies on to a second backend, in the background.

The demo shows a trace in the terminal and, when the user names a backend, sends the very same bytes there. It happens
on a thread of its own, so that a slow backend never holds up the collectors that are being watched.
"""

import http.client
import queue
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

RETRYABLE = frozenset({429, 502, 503, 504})  # OTLP specification, "Retryable Response Codes"
ATTEMPTS = 3
PASSED_ON = ("content-type", "content-encoding")


@dataclass(frozen=True, slots=True)
class ForwardFailure:
    """A body that the backend did not take, and why."""

    signal: str
    url: str
    reason: str


class Forwarder:
    """Send every body put into it to one backend, in order.

    Args:
        endpoints: signal to URL; a signal that is not named is not forwarded.
        headers: what to send along, such as an API key.
        timeout: seconds for one attempt.
        sleep: waits between attempts, in seconds.
    """

    def __init__(
        self,
        endpoints: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoints = dict(endpoints)
        self.headers = dict(headers or {})
        self.sent: dict[str, int] = {}
        """Bodies that the backend took, by signal."""
        self.failures: list[ForwardFailure] = []
        self._timeout = timeout
        self._sleep = sleep
        self._queue: queue.Queue[tuple[str, bytes, dict[str, str]]] = queue.Queue()
        threading.Thread(target=self._work, name="otlp-forward", daemon=True).start()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """Read the standard exporter variables (OpenTelemetry specification, "OpenTelemetry Protocol Exporter").

        Returns:
            None when no endpoint is named that traces go to.
        """
        endpoints = {}
        base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip().rstrip("/")
        for signal in ("traces", "metrics", "logs"):
            own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
            if own or base:
                endpoints[signal] = own or f"{base}/v1/{signal}"
        if "traces" not in endpoints:
            return None
        headers = {}
        for pair in environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(","):
            name, found, value = pair.partition("=")
            if found and name.strip():
                headers[name.strip()] = urllib.parse.unquote(value.strip())
        return cls(endpoints, headers)

    def reach(self, signal: str, timeout: float = 5.0) -> None:
        """See whether anybody listens where `signal` goes.

        Args:
            signal: one of `endpoints`.
            timeout: seconds.

        Raises:
            ValueError: the endpoint is no http or https address.
            OSError: nobody listens there.
        """
        parts = urllib.parse.urlsplit(self.endpoints[signal])
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"not an address that begins with http:// or https://: {self.endpoints[signal]}")
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        socket.create_connection((parts.hostname, port), timeout).close()

    def put(self, signal: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Queue one body; `headers` are those it came with, keys in lower case."""
        if signal in self.endpoints:
            self._queue.put((signal, body, {key: headers[key] for key in PASSED_ON if key in headers}))

    def drain(self, timeout: float) -> bool:
        """Wait until everything that was put has been sent or has failed.

        Args:
            timeout: seconds.

        Returns:
            Whether that was so in time.
        """
        with self._queue.all_tasks_done:
            return self._queue.all_tasks_done.wait_for(lambda: self._queue.unfinished_tasks == 0, timeout)

    def _work(self) -> None:
        while True:
            signal, body, headers = self._queue.get()
            try:
                self._send(signal, body, headers)
            finally:
                self._queue.task_done()

    def _send(self, signal: str, body: bytes, headers: dict[str, str]) -> None:
        url = self.endpoints[signal]
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(0.2 * 2**attempt)
            try:
                request = urllib.request.Request(url, data=body, headers={**headers, **self.headers}, method="POST")
                with urllib.request.urlopen(request, timeout=self._timeout) as response:
                    response.read()
                self.sent[signal] = self.sent.get(signal, 0) + 1
                return
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code} {error.reason}"
                if error.code not in RETRYABLE:
                    break
            except (OSError, http.client.HTTPException) as error:
                reason = str(getattr(error, "reason", error))
            except ValueError as error:  # no URL at all
                reason = str(error)
                break
        self.failures.append(ForwardFailure(signal, url, reason))
