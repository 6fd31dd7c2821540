"""Writes requests to the standard output, a line each: for functions whose only way out is their log.

The line is JSON, as otlp-stdout-span-exporter and its forwarders have it: `__otel_otlp_stdout` says that it is one,
`payload` is the request as it would be posted to `endpoint`, packed with gzip and in base64. Headers are left out: they
are secrets, and whoever sends the line on has his own.
"""

import binascii
import json
import os
import zlib
from collections.abc import Callable

from hoptrace_collector.export.exporter import RETRY, SENT, TOO_LARGE, Limits, Result
from hoptrace_collector.export.json_form import in_json

__all__ = ["Stdout"]

VERSION = "0.1.0"
# An event of CloudWatch Logs may have 256 KiB, of which 26 bytes are its own (CloudWatch Logs quotas).
LONGEST = 256 * 1024 - 26
_STDOUT = 1


class Stdout:
    """Writes the requests of one signal; `service` is named in each line, as their source."""

    name = "the standard output"
    advice = "Each span must fit into a line of 256 KiB"
    configured = True
    timeout = 5.0
    limits = Limits()

    def __init__(
        self,
        signal: str,
        service: str,
        *,
        json_form: bool = False,
        write: Callable[[memoryview], int] = lambda data: os.write(_STDOUT, data),
    ) -> None:
        """`json_form`: the payload is OTLP's JSON; `write` takes a part of the bytes and says of how many."""
        self._encode = in_json(signal) if json_form else None
        self._write = write
        self._head = {
            "__otel_otlp_stdout": VERSION,
            "source": service or "unknown_service",
            "endpoint": f"http://localhost:4318/v1/{signal}",
            "method": "POST",
            "content-type": "application/json" if json_form else "application/x-protobuf",
            "content-encoding": "gzip",
            "base64": True,
        }

    def send(self, body: bytes, deadline: float) -> Result:
        """Write one batch; see `Exporter.send`."""
        del deadline  # a pipe that Lambda reads
        line = self._line(body)
        if len(line) > LONGEST:
            return Result(TOO_LARGE, f"a line of more than {LONGEST} bytes")
        view = memoryview(line)
        try:
            while view:
                view = view[self._write(view) :]
        except OSError as error:
            return Result(RETRY, str(error))
        return Result(SENT)

    def renew(self) -> None:
        """Nothing here is an environment's own."""

    def _line(self, body: bytes) -> bytes:
        if self._encode is not None:
            body = self._encode(body)
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        packed = packer.compress(body) + packer.flush()
        payload = binascii.b2a_base64(packed, newline=False).decode()
        return json.dumps({**self._head, "payload": payload}, separators=(",", ":")).encode() + b"\n"
