"""A gateway in this process, on an event loop in a thread, and what is sent to it."""

import asyncio
import http.client
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hoptrace_collector.counters import Counters
from hoptrace_collector.gateway.gateway import Gateway
from hoptrace_collector.gateway.settings import Address, GatewaySettings
from hoptrace_collector.settings import read
from tests.collector.support import Backend, attributes_of, unpacked

SECOND = 10**9
ANY = Address("127.0.0.1", 0)
PROTOBUF = "application/x-protobuf"


def traces(
    *spans: tuple[int, int, int], name: str = "shipping", account: str = "123456789012", kind: int = 2, **more: str
) -> bytes:
    """A request with the spans of invocations, each (number, start, end) in nanoseconds."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key, value in {"faas.name": name, "cloud.region": "eu-west-1", **more}.items():
        resource.resource.attributes.add(key=key).value.string_value = value
    scope = resource.scope_spans.add()
    for number, start, end in spans:
        span = scope.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name=name,
            kind=kind,  # type: ignore[arg-type]
            start_time_unix_nano=start,
            end_time_unix_nano=end,
        )
        span.attributes.add(key="faas.invocation_id").value.string_value = f"r{number}"
        span.attributes.add(key="cloud.account.id").value.string_value = account
    return request.SerializeToString()


class Running:
    """A gateway that sends to `backend`; settings of its own by keyword, variables by `env`."""

    def __init__(
        self,
        backend: Backend | None = None,
        *,
        env: dict[str, str] | None = None,
        now: Callable[[], int] = time.time_ns,
        **settings: Any,
    ) -> None:
        self.lines: list[str] = []
        self.counters = Counters(self.lines.append)
        # The metrics of the gateway itself come when a test asks for them.
        variables = {"OTEL_METRIC_EXPORT_INTERVAL": "3600000", **(env or {})}
        if backend is not None:
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = backend.url
        read_settings, self.complaints = read(variables)
        wanted = GatewaySettings(**{"listen": ANY, "admin": ANY, "drain": 5.0, "senders": 2, **settings})
        self.gateway = Gateway(read_settings, wanted, self.counters, now=now)
        self.left: int | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.call(self.gateway.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.left is None:
            self.stop()
        self._end()

    def _end(self) -> None:
        self.call(_last_turns())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    @property
    def backlog(self) -> Any:
        """What waits of traces for the first destination."""
        return self.gateway._outlets._of["traces"][0].backlog

    def stop(self) -> int:
        """As SIGTERM does."""
        self.left = self.call(self.gateway.finish())
        return self.left

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def tick(self, **how: bool) -> None:
        """Let a second of the gateway's own work pass."""

        self.call(self.gateway.tick(**how))

    @property
    def port(self) -> int:
        return self.gateway.address.port

    def connect(self, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        if tls is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=10, context=tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def post(
        self, body: bytes, path: str = "/v1/traces", *, tls: ssl.SSLContext | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self.connect(tls)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, body, {"content-type": PROTOBUF, **sent})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        assert self.gateway.admin is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.admin.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


async def _last_turns() -> None:
    """What `asyncio.run` does at the end."""
    await asyncio.sleep(0.01)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def gauges(backend: Backend) -> dict[tuple[str, str], list[tuple[int, float, dict[str, Any]]]]:
    """What arrived of gauges: (name, function) to (time, value, attributes)."""
    found: dict[tuple[str, str], list[tuple[int, float, dict[str, Any]]]] = {}
    for posted in backend.requests:
        if posted.path != "/v1/metrics":
            continue
        for resource in ExportMetricsServiceRequest.FromString(unpacked(posted)).resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in metric.gauge.data_points:
                    told = attributes_of(point)
                    value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
                    key = (metric.name, str(told.get("faas.name", "")))
                    found.setdefault(key, []).append((point.time_unix_nano, value, told))
    return found
