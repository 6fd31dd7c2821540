"""Puts a span's context into the parameters of the calls that can carry one, by the carriers.

Every function returns a copy with the context, or the very object it was given: the user's parameters are never
changed, and a parameter of an unexpected type is left for botocore to refuse.
"""

import time
from collections.abc import Sequence
from typing import Any

from ..carriers import eventbridge as to_bus
from ..carriers import sns as to_topic
from ..carriers import sqs as to_queue
from ..carriers.client_context import inject_client_context
from ..settings import trace_header
from ..spans.context import SpanContext
from .destinations import is_topic
from .row import Params


def sqs_message(params: Params, context: SpanContext) -> Params:
    """`SendMessage`."""
    return _params(params, to_queue.inject_entry(params, context, trace_header()))


def sqs_batch(params: Params, context: SpanContext) -> Params:
    """`SendMessageBatch`: every entry carries the one span that sends them."""
    entries: Any = params.get("Entries")
    return _with(params, "Entries", to_queue.inject_batch(entries, lambda _index: context, trace_header()))


def sns_message(params: Params, context: SpanContext) -> Params:
    """`Publish`, to a topic only: a text message or a push has no consumer that could read attributes."""
    if "PhoneNumber" in params or not is_topic(params.get("TopicArn") or params.get("TargetArn")):
        return params
    return _params(params, to_topic.inject_entry(params, context))


def sns_batch(params: Params, context: SpanContext) -> Params:
    """`PublishBatch`."""
    key = "PublishBatchRequestEntries"
    entries: Any = params.get(key)
    return _with(params, key, to_topic.inject_batch(entries, lambda _index: context))


def eventbridge(params: Params, context: SpanContext) -> Params:
    """`PutEvents`."""
    entries: Any = params.get("Entries")
    now_ms = time.time_ns() // 1_000_000
    return _with(params, "Entries", to_bus.inject_batch(entries, lambda _index: context, now_ms, trace_header()))


def lambda_invoke(params: Params, context: SpanContext) -> Params:
    """`Invoke`: the client context of a synchronous call, which is all that Lambda passes on; never the payload."""
    if params.get("InvocationType", "RequestResponse") != "RequestResponse":
        return params
    given: Any = params.get("ClientContext")
    injected = inject_client_context(given, context)
    return params if injected is given else {**params, "ClientContext": injected}


def _params(params: Params, injected: Any) -> Params:
    """The carriers speak of mappings; what they return is a dictionary of the same shape."""
    return params if injected is params else dict(injected)


def _with(params: Params, key: str, injected: Sequence[Any]) -> Params:
    return params if injected is params.get(key) else {**params, key: injected}
