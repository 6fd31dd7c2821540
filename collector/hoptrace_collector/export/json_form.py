"""Exports OTLP's JSON: what waits is protobuf, so it is turned when it is sent."""

from collections.abc import Callable

from hoptrace_collector.export.pieces import parse_request
from hoptrace_collector.otlp_json import to_json

__all__ = ["in_json"]


def in_json(signal: str) -> Callable[[bytes], bytes]:
    """Return what turns the bytes of a request of `signal` into its JSON.

    Fields that a newer protocol has added, and this one does not know, are not in it.
    """
    return lambda body: to_json(parse_request(signal, body))
