"""Speaks the Extensions API and subscribes to the Telemetry API (Lambda developer guide, "Lambda Extensions API")."""

import json
import time
from collections.abc import Callable
from typing import Any

from hoptrace_collector.fit import text
from hoptrace_collector.settings import Settings, Url, parse_url
from hoptrace_collector.told import Invoke, Shutdown
from hoptrace_collector.transport import Exchange, TransportError

__all__ = ["Client", "ExtensionsApiError", "parse_event"]

_PREFIX = "/2020-01-01/extension"


class ExtensionsApiError(Exception):
    """Lambda did not answer, or not as documented."""


def parse_event(value: object, now: int = 0) -> Invoke | Shutdown | None:
    """Return the event that the body of an answer to `/event/next` holds; None when it is neither known one.

    `now` is when it came, in nanoseconds since the epoch; 0 when somebody else received it.
    """
    if not isinstance(value, dict):
        return None
    deadline = value.get("deadlineMs")
    deadline_ms = int(deadline) if isinstance(deadline, int | float) and 0 < deadline < 1e16 else 0
    if value.get("eventType") == "INVOKE":
        tracing = value.get("tracing")
        return Invoke(
            request_id=text(value.get("requestId")),
            arn=text(value.get("invokedFunctionArn")),
            deadline_ms=deadline_ms,
            trace_header=text(tracing.get("value")) if isinstance(tracing, dict) else "",
            seen=now,
        )
    if value.get("eventType") == "SHUTDOWN":
        return Shutdown(text(value.get("shutdownReason")).lower(), deadline_ms)
    return None


class Client:
    """One registered extension. `now` gives nanoseconds since the epoch."""

    def __init__(self, settings: Settings, extension_id: str = "", *, now: Callable[[], int] = time.time_ns) -> None:
        self._api = parse_url(f"http://{settings.runtime_api}/")
        self._managed = settings.managed_instances
        self._logs = settings.function_logs
        self._at_once = settings.function_logs or settings.snap_start
        self._now = now
        self.extension_id = extension_id

    def register(self, name: str) -> dict[str, Any]:
        """Register under `name`, the file's name in /opt/extensions; return the answer's body.

        On Managed Instances only SHUTDOWN may be asked for. Raises ExtensionsApiError.
        """
        events = ["SHUTDOWN"] if self._managed else ["INVOKE", "SHUTDOWN"]
        headers = [("lambda-extension-name", name), ("content-type", "application/json")]
        status, answer_headers, body = self._call("POST", "/register", headers, json.dumps({"events": events}).encode())
        if status != 200:
            raise ExtensionsApiError(f"registering was answered with {status}: {_shown(body)}")
        self.extension_id = answer_headers.get("lambda-extension-identifier", "")
        return body

    def subscribe(self, port: int) -> None:
        """Ask for platform telemetry to be posted to `port`; raises ExtensionsApiError when there is none.

        The function's logs too where they are shipped, and then without waiting for more: what an invocation has
        said should be here when it is over. Never those of extensions, of which this is one.

        An answer of 202 means that this Lambda has no Telemetry API.
        """
        body = {
            "schemaVersion": "2025-01-29" if self._managed else "2022-12-13",
            "types": ["platform", "function"] if self._logs else ["platform"],
            "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}/telemetry"},
            "buffering": {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25 if self._at_once else 1000},
        }
        headers = [*self._identity(), ("content-type", "application/json")]
        url = self._api._replace(target="/2022-07-01/telemetry")
        status, _, answer = self._exchange("PUT", url, headers, json.dumps(body).encode())
        if status != 200:
            raise ExtensionsApiError(f"subscribing was answered with {status}: {_shown(answer)}")

    def next(self, idle: Callable[[], None] | None = None, every: float = 1.0) -> Invoke | Shutdown | None:
        """Wait, for as long as it takes, for the next event; None for one of an unknown kind.

        `idle` is called each `every` seconds meanwhile; without it nothing runs until Lambda answers. Raises
        ExtensionsApiError.
        """
        try:
            exchange = Exchange("GET", self._url("/event/next"), self._identity(), deadline=None)
            while idle is not None and not exchange.readable(every):
                idle()
            answer = exchange.answer()
        except TransportError as error:
            raise ExtensionsApiError(str(error)) from None
        body = _json(answer.body)
        if answer.status != 200:
            raise ExtensionsApiError(f"asking for the next event was answered with {answer.status}: {_shown(body)}")
        return parse_event(body, self._now())

    def _identity(self) -> list[tuple[str, str]]:
        return [("lambda-extension-identifier", self.extension_id)]

    def _url(self, path: str) -> Url:
        return self._api._replace(target=_PREFIX + path)

    def _call(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        return self._exchange(method, self._url(path), headers, body)

    def _exchange(
        self, method: str, url: Url, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        try:
            answer = Exchange(method, url, headers, body, deadline=time.monotonic() + 5.0).answer()
        except TransportError as error:
            raise ExtensionsApiError(str(error)) from None
        return answer.status, answer.headers, _json(answer.body)


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _shown(body: dict[str, Any]) -> str:
    return text(body.get("errorType")) or "no reason given"
