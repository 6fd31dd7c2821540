"""Finds the invocations in anybody's spans.

By OpenTelemetry's "Instrumenting AWS Lambda": the span of an invocation is a SERVER span, or where a queue or stream
woke the function a CONSUMER span, and has `faas.invocation_id`; other spans of the function have not. The account
stands on the span or in `aws.lambda.invoked_arn`, the rest on the span or its resource.
"""

from typing import Any

from hoptrace_collector.gateway.peaks import Function, Interval

__all__ = ["invocations"]

_KINDS = (2, 5)  # SERVER, CONSUMER
_WANTED = ("faas.name", "cloud.account.id", "cloud.region", "aws.lambda.invoked_arn", "service.name")
_LONGEST = 256


def invocations(request: Any) -> list[Interval]:
    """Return the invocations of an `ExportTraceServiceRequest`."""
    found = []
    for resource in request.resource_spans:
        of_resource: dict[str, str] | None = None
        for scope in resource.scope_spans:
            for span in scope.spans:
                if span.kind not in _KINDS or not (known := _invocation(span.attributes)):
                    continue
                if of_resource is None:
                    of_resource = _texts(resource.resource.attributes, _WANTED)
                function = _function(known, of_resource)
                ident = int.from_bytes(span.span_id[:8], "big")
                found.append(Interval(function, span.start_time_unix_nano, span.end_time_unix_nano, ident))
    return found


def _invocation(attributes: Any) -> dict[str, str]:
    """Return what the span says of its function; nothing when it is no invocation."""
    found = _texts(attributes, ("faas.invocation_id", *_WANTED))
    return found if found.get("faas.invocation_id") else {}


def _texts(attributes: Any, wanted: tuple[str, ...]) -> dict[str, str]:
    return {each.key: each.value.string_value[:_LONGEST] for each in attributes if each.key in wanted}


def _function(span: dict[str, str], resource: dict[str, str]) -> Function:
    def told(name: str) -> str:
        return span.get(name) or resource.get(name, "")

    # arn:aws:lambda:region:account:function:name
    arn = [*told("aws.lambda.invoked_arn").split(":"), *[""] * 7]
    return Function(
        told("cloud.account.id") or arn[4],
        told("cloud.region") or arn[3],
        resource.get("faas.name") or span.get("faas.name") or arn[6] or resource.get("service.name") or "unknown",
    )
