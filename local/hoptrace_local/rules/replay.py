"""Runs rules over what was recorded: spans and metrics in OTLP's JSON, or the result of `hoptrace demo`.

Each execution environment is judged by itself, as its collector would, and the rules of scope `fleet` over all of them
together. What Lambda tells the collector and no span holds (memory, the deadline) is not there: `report` has nothing to
be asked about, and an invocation no `timeout`.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hoptrace_collector.alert.causes import Cause
from hoptrace_collector.alert.engine import Change, Engine
from hoptrace_collector.alert.events import Target, make_entry
from hoptrace_collector.alert.facts import of_invocation, of_point, of_span
from hoptrace_collector.alert.rules import ENVIRONMENT, FLEET, INVOCATION, Rule
from hoptrace_collector.model import Invocation, Number, Origin, Span
from hoptrace_local import otlp

__all__ = ["Recorded", "Unreadable", "read", "replay"]

_KINDS = ("SERVER", "CONSUMER")


class Unreadable(ValueError):
    """A file holds nothing that rules can be run over; the text says why."""


class Recorded(NamedTuple):
    """Spans and points, as they were exported."""

    spans: list[otlp.Span]
    points: list[otlp.Point]


def read(text: str, name: str) -> Recorded:
    """Read a file's text; raises Unreadable. `name` is what it is called."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    recorded = Recorded([], [])
    if isinstance(whole, dict) and isinstance(whole.get("spans"), list):
        recorded.spans.extend(_of_result(whole["spans"], name))
    elif whole is not None:
        _add(recorded, whole, name)
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                _add(recorded, _line(line, f"{name}, line {number}"), f"{name}, line {number}")
    if not recorded.spans and not recorded.points:
        raise Unreadable(
            f"{name} holds no spans and no metrics: OTLP in JSON, a request a line, or the result of hoptrace demo"
        )
    return recorded


def replay(rules: list[Rule], recorded: Recorded) -> list[dict[str, Any]]:
    """Return the details of the events that would have been sent, in the order of time."""
    happened = sorted([*_spans(recorded.spans), *_points(recorded.points)], key=lambda each: each.at)
    if not happened:
        return []
    begun = happened[0].at
    fleet = Engine(rules, (FLEET,), begun)
    environments: dict[str, Engine] = {}
    details = []
    for each in happened:
        engine = environments.get(each.environment)
        if engine is None:
            engine = environments[each.environment] = Engine(rules, (INVOCATION, ENVIRONMENT), begun)
        for judge in (engine, fleet):
            changes = [*judge.tick(each.at), *judge.observe(each.kind, each.at, each.ident, each.get, each.make_cause)]
            details += [_detail(change, each.function) for change in changes]
    return details


class _Happened(NamedTuple):
    at: int
    kind: str
    ident: str
    environment: str
    function: str
    get: Callable[[Any], Any]
    make_cause: Callable[[], Cause]


def _detail(change: Change, function: str) -> dict[str, Any]:
    detail: dict[str, Any] = json.loads(make_entry(change, Target("", function))["Detail"])
    return detail


def _spans(spans: Iterable[otlp.Span]) -> list[_Happened]:
    known = list(spans)
    inits = {_environment(span): span.duration / 1e9 for span in known if span.attributes.get("hoptrace.init") is True}
    found = []
    for each in known:
        span, resource, function = _span(each), dict(each.resource), each.service
        invocation = _invocation(each, span)
        cause = _cause(span, invocation, function)
        ident, where = each.span_id, _environment(each)
        found.append(_Happened(span.end, "span", ident, where, function, of_span(span, resource), cause))
        if invocation is not None:
            facts = of_invocation(invocation, inits.get(where))
            found.append(_Happened(span.end, "invocation", ident, where, function, facts.get, cause))
    return found


def _cause(span: Span, invocation: Invocation | None, function: str) -> Callable[[], Cause]:
    return lambda: Cause.of_span(span, invocation, function)


def _points(points: Iterable[otlp.Point]) -> list[_Happened]:
    found = []
    for each in points:
        value = each.value / each.count if each.type == "histogram" and each.count else each.value
        number = Number(
            each.type, each.name, each.unit, "", tuple(each.attributes.items()), value, each.start, each.time
        )
        facts = of_point(number)
        if each.type == "histogram":
            facts.update({"count": each.count, "min": each.minimum, "max": each.maximum})
        function = str(each.resource.get("faas.name") or each.resource.get("service.name") or "?")
        ident = f"{each.name} {sorted(each.attributes.items(), key=str)}"
        cause = Cause(each.time, ident, function=function, message=each.name)
        where = str(each.resource.get("faas.instance") or function)
        found.append(_Happened(each.time, "metric", ident, where, function, facts.get, _same(cause)))
    return found


def _same(cause: Cause) -> Callable[[], Cause]:
    return lambda: cause


def _environment(span: otlp.Span) -> str:
    return str(span.resource.get("faas.instance") or span.service)


def _span(each: otlp.Span) -> Span:
    return Span(
        bytes.fromhex(each.trace_id),
        bytes.fromhex(each.span_id),
        each.name,
        otlp.KINDS.index(each.kind) if each.kind in otlp.KINDS else 0,
        each.start,
        each.end,
        attributes=dict(each.attributes),
        status=otlp.STATUSES.index(each.status) if each.status in otlp.STATUSES else 0,
        status_message=each.message,
    )


def _invocation(each: otlp.Span, span: Span) -> Invocation | None:
    """Return the invocation that a span is of: by OpenTelemetry's conventions, its span says so."""
    request_id = each.attributes.get("faas.invocation_id")
    if not isinstance(request_id, str) or each.kind not in _KINDS:
        return None
    error_type = str(each.attributes.get("error.type", ""))
    outcome = "ok"
    if each.failed:
        made_up = each.attributes.get("hoptrace.closed_by") == "collector"
        outcome = "timeout" if error_type == "timeout" else "crash" if made_up else "error"
    origin = Origin.of(dict(each.resource), (each.scope, ""))
    return Invocation(request_id, outcome, error_type if outcome != "ok" else "", each.message, span, origin, 0)


def _line(line: str, name: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is no JSON ({error})") from None


def _add(recorded: Recorded, value: Any, name: str) -> None:
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is no request of OTLP: it is to be an object with resourceSpans or resourceMetrics")
    body = json.dumps(value).encode()
    try:
        if "resourceSpans" in value:
            recorded.spans.extend(otlp.spans_of(otlp.parse("traces", body, as_json=True)))
        elif "resourceMetrics" in value:
            recorded.points.extend(otlp.points_of(otlp.parse("metrics", body, as_json=True)))
    except otlp.MalformedOtlp as error:
        raise Unreadable(f"{name} is no request of OTLP ({error})") from None


def _of_result(spans: list[Any], name: str) -> Iterable[otlp.Span]:
    """Read what `hoptrace demo` and `hoptrace patterns` print."""
    wanted = (
        "trace_id",
        "span_id",
        "parent_id",
        "name",
        "start",
        "end",
        "kind",
        "status",
        "message",
        "attributes",
        "resource",
    )
    for span in spans:
        try:
            found = otlp.Span(**{field: span[field] for field in wanted})
            bytes.fromhex(found.trace_id + found.span_id)
            if not (isinstance(found.attributes, dict) and isinstance(found.resource, dict)):
                raise TypeError
            if not (isinstance(found.start, int) and isinstance(found.end, int)):
                raise TypeError
        except (KeyError, TypeError, ValueError):
            raise Unreadable(f"{name} is no result of hoptrace demo: a span in it lacks what every span has") from None
        yield found
