"""Reads OTLP requests of anybody: protobuf or JSON, packed or not, of all three signals.

Untrusted input: whatever comes, the answer is a batch or one `Refused`. What is understood goes on as it came, one
piece for each resource, so nothing that a newer protocol adds is lost on the way.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from hoptrace_collector.otlp_request import Part, new_request, parts_of

__all__ = ["PATHS", "Batch", "Refused", "parse"]

PROTOBUF, JSON = "application/x-protobuf", "application/json"
PATHS = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}


class Batch(NamedTuple):
    """One request that was understood."""

    signal: str
    parts: list[Part]

    @property
    def amount(self) -> int:
        """How many spans, data points or log records are in it."""
        return sum(part.amount for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(len(part.data) for part in self.parts)


class Refused(Exception):
    """A request that cannot be taken, with the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def parse(
    signal: str,
    content_type: str,
    encoding: str,
    body: bytes,
    limit: int,
    look: Callable[[str, Any], object] | None = None,
) -> Batch:
    """Understand the body of a POST to the signal's path; raises nothing but Refused.

    `content_type` and `encoding` are the headers' values; unpacked, the body may have `limit` bytes. `look` gets the
    signal and the Export…ServiceRequest that was read.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise Refused(415, f"the content type must be {PROTOBUF} or {JSON}")
    body = _unpacked(body, encoding.strip().lower(), limit)
    if signal not in PATHS.values():
        raise Refused(404, "traces, metrics or logs")
    try:
        request = new_request(signal)
        if kind == JSON:
            # Only for who sends it: 2 ms of imports and 270 kB.
            from hoptrace_collector.otlp_json import merge

            merge(body, request)
        else:
            request.ParseFromString(body)
        if look is not None:
            look(signal, request)
        return Batch(signal, parts_of(signal, request))
    except Exception as error:  # protobuf has several kinds, and JSON adds its own
        shown = " ".join(str(error).split())[:200] or type(error).__name__
        raise Refused(400, f"no valid OTLP {signal}: {shown}") from None


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Refused(415, "the content encoding must be gzip, deflate or identity")
    out = b""
    try:
        while body:  # gzip may consist of several members
            unpacker = zlib.decompressobj(47)  # gzip or zlib, by its head
            out += unpacker.decompress(body, limit + 1 - len(out))
            if len(out) > limit:
                raise Refused(413, f"unpacked it has more than {limit} bytes")
            if not unpacker.eof:
                raise Refused(400, f"{encoding} that ends in the middle")
            body = unpacker.unused_data
    except zlib.error as error:
        raise Refused(400, f"no valid {encoding}: {error}") from None
    return out
