"""Reads the lines in which traces are written to a log, and shows them as OTLP's JSON or sends them on.

The format is described in docs/exporting.md, "Standard output". What is no such line is passed over: a log has others,
and tools put times and names before each.
"""

import argparse
import base64
import binascii
import gzip
import json
import sys
import urllib.request
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hoptrace_collector.export.json_form import in_json

__all__ = ["Posted", "decode", "main"]

_MARK = '{"__otel_otlp_stdout"'
_SIGNALS = ("traces", "metrics", "logs")


class Posted(NamedTuple):
    """A request as its exporter would have posted it; `body` is unpacked."""

    signal: str
    source: str
    content_type: str
    body: bytes

    def as_json(self) -> bytes:
        """Return the request in OTLP's JSON, on one line."""
        if self.content_type == "application/json":
            return json.dumps(json.loads(self.body), separators=(",", ":"), ensure_ascii=False).encode()
        return in_json(self.signal)(self.body)


def decode(lines: Iterable[str]) -> Iterator[Posted]:
    """Give the request in each line that has one, wherever in the line it stands."""
    for line in lines:
        at = line.find(_MARK)
        posted = _posted(line[at:]) if at >= 0 else None
        if posted is not None:
            yield posted


def _posted(text: str) -> Posted | None:
    try:
        # What a tool has put behind it is not looked at.
        found, _ = json.JSONDecoder().raw_decode(text)
        signal = str(found["endpoint"]).rsplit("/", 1)[-1]
        payload = found["payload"]
        body = base64.b64decode(payload, validate=True) if found.get("base64") else json.dumps(payload).encode()
        if found.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
    except (ValueError, KeyError, TypeError, RecursionError, OSError, EOFError, binascii.Error, zlib.error):
        return None
    if signal not in _SIGNALS:
        return None
    return Posted(signal, str(found.get("source", "")), str(found.get("content-type", "application/x-protobuf")), body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read files, or the standard input; returns 0, or 1 when there was no such line."""
    parser = argparse.ArgumentParser(prog="python -m hoptrace_local.otlp_stdout", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--to", metavar="ADDRESS", help="an OTLP/HTTP address, such as http://localhost:4318")
    given = parser.parse_args(arguments)
    count = 0
    for posted in decode(_lines(given.files)):
        count += 1
        if given.to:
            _send(posted, given.to)
        else:
            print(posted.as_json().decode())
    return 0 if count else 1


def _lines(files: Sequence[str]) -> Iterator[str]:
    if not files:
        yield from sys.stdin
    for name in files:
        with open(name, encoding="utf-8", errors="replace") as file:
            yield from file


def _send(posted: Posted, address: str) -> None:
    url = f"{address.rstrip('/')}/v1/{posted.signal}"
    request = urllib.request.Request(url, posted.body, {"content-type": posted.content_type})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


if __name__ == "__main__":
    sys.exit(main())
