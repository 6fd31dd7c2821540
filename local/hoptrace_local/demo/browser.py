"""The customer's browser: places orders in parallel under one trace, and reports its own spans by OTLP.

It is the only part of the demo that writes a `traceparent` itself, as a page with OpenTelemetry's packages would.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from hoptrace_local.stage.loopback import open_url

SERVICE = "shop"


@dataclass
class Placed:
    """One order and what the API answered; times in ns since the epoch."""

    order: Mapping[str, Any]
    span_id: str
    start: int = 0
    end: int = 0
    status: int = 0
    body: str = ""


@dataclass
class Visit:
    """One customer's visit: a root span with one client span for each order."""

    trace_id: str = field(default_factory=lambda: os.urandom(16).hex())
    span_id: str = field(default_factory=lambda: os.urandom(8).hex())
    start: int = 0
    end: int = 0
    placed: list[Placed] = field(default_factory=list)

    def place(self, url: str, orders: Sequence[Mapping[str, Any]], timeout: float = 60.0) -> None:
        """POST every order to `url` at the same time and wait for the answers.

        Args:
            url: where orders go.
            orders: what to send, as JSON.
            timeout: seconds for each answer.

        Raises:
            RuntimeError: an order was not accepted (anything but 202).
        """
        self.placed = [Placed(order, os.urandom(8).hex()) for order in orders]
        self.start = time.time_ns()
        threads = [threading.Thread(target=self._post, args=(url, one, timeout)) for one in self.placed]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.end = time.time_ns()
        refused = [f"{one.order['order']}: {one.status} {one.body[:300]}" for one in self.placed if one.status != 202]
        if refused:
            raise RuntimeError("not accepted: " + "; ".join(refused))

    def report(self, endpoint: str) -> None:
        """Send the visit's spans to the OTLP/HTTP endpoint."""
        spans = [_span(self.trace_id, self.span_id, b"", "place orders", Span.SPAN_KIND_INTERNAL, self.start, self.end)]
        for one in self.placed:
            parent = bytes.fromhex(self.span_id)
            span = _span(self.trace_id, one.span_id, parent, "POST", Span.SPAN_KIND_CLIENT, one.start, one.end)
            span.attributes.extend(
                [
                    KeyValue(key="http.request.method", value=AnyValue(string_value="POST")),
                    KeyValue(key="url.path", value=AnyValue(string_value="/orders")),
                    KeyValue(key="http.response.status_code", value=AnyValue(int_value=one.status)),
                    KeyValue(key="shop.order", value=AnyValue(string_value=str(one.order["order"]))),
                ]
            )
            if one.status >= 400:
                span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
            spans.append(span)
        resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=SERVICE))])
        request = ExportTraceServiceRequest(
            resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=spans)])]
        )
        headers = {"Content-Type": "application/x-protobuf"}
        post = urllib.request.Request(f"{endpoint}/v1/traces", request.SerializeToString(), headers, method="POST")
        with open_url(post, timeout=10) as response:
            response.read()

    def _post(self, url: str, one: Placed, timeout: float) -> None:
        headers = {"content-type": "application/json", "traceparent": f"00-{self.trace_id}-{one.span_id}-01"}
        request = urllib.request.Request(url, json.dumps(one.order).encode(), headers, method="POST")
        one.start = time.time_ns()
        try:
            with open_url(request, timeout=timeout) as response:
                one.status, one.body = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            one.status, one.body = error.code, error.read().decode(errors="replace")
        except OSError as error:
            one.body = str(error)
        one.end = time.time_ns()


def _span(trace_id: str, span_id: str, parent: bytes, name: str, kind: Any, start: int, end: int) -> Span:
    return Span(
        trace_id=bytes.fromhex(trace_id),
        span_id=bytes.fromhex(span_id),
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        flags=1,
    )
