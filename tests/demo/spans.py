"""A small maker of spans for tests: times in milliseconds, ids from names."""

from typing import Any

from hoptrace_local.otlp import Link, Span

TRACE = "0af7651916cd43dd8448eb211c80319c"
BEGIN = 1_790_000_000_000_000_000


def at(milliseconds: float) -> int:
    return BEGIN + int(milliseconds * 1e6)


def make(
    span_id: str,
    service: str,
    name: str,
    start: float,
    end: float,
    parent: str = "",
    *,
    links: tuple[str, ...] = (),
    **more: Any,
) -> Span:
    return Span(
        trace_id=more.pop("trace_id", TRACE),
        span_id=span_id,
        parent_id=parent,
        name=name,
        start=at(start),
        end=at(end),
        resource={"service.name": service, "faas.name": service},
        links=tuple(Link(TRACE, target) for target in links),
        **more,
    )


def invocation(span_id: str, service: str, start: float, end: float, parent: str = "", **more: Any) -> Span:
    attributes = {"faas.invocation_id": f"request-{span_id}", **more.pop("attributes", {})}
    return make(span_id, service, service, start, end, parent, kind="SERVER", attributes=attributes, **more)


def hop(span_id: str, service: str, name: str, start: float, end: float, parent: str = "") -> Span:
    return make(span_id, service, name, start, end, parent, attributes={"hoptrace.hop": True})
