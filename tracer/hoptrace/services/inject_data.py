"""Puts a span's context into the user's own data, for the services that were named in a setting.

Apart from `inject`, because these change what is stored and delivered: nothing here runs unless it was asked for.
"""

import time
from collections.abc import Sequence
from typing import Any

from ..carriers import dynamodb as to_item
from ..carriers import firehose as to_delivery
from ..carriers import iot as to_topic
from ..carriers import kinesis as to_stream
from ..carriers import s3 as to_object
from ..carriers.json_data import Writer
from ..shape import Shape
from ..spans.context import SpanContext
from .row import Params


def kinesis_record(params: Params, context: SpanContext) -> Params:
    """`PutRecord`."""
    return _params(params, to_stream.RECORDS.inject(params, context, Writer(_now_ms())))


def kinesis_batch(params: Params, context: SpanContext) -> Params:
    """`PutRecords`."""
    records: Any = params.get("Records")
    return _with(params, "Records", to_stream.RECORDS.inject_each(records, lambda _index: context, Writer(_now_ms())))


def firehose_record(params: Params, context: SpanContext) -> Params:
    """`PutRecord`, whose record is an object of its own."""
    record: Any = params.get("Record")
    return _with(params, "Record", to_delivery.RECORDS.inject(record, context, Writer(_now_ms())))


def firehose_batch(params: Params, context: SpanContext) -> Params:
    """`PutRecordBatch`."""
    records: Any = params.get("Records")
    return _with(params, "Records", to_delivery.RECORDS.inject_each(records, lambda _index: context, Writer(_now_ms())))


def iot_message(params: Params, context: SpanContext) -> Params:
    """`Publish` of IoT Data."""
    return _params(params, to_topic.inject(params, context, _now_ms()))


def s3_object(params: Params, context: SpanContext) -> Params:
    """`PutObject`, `CreateMultipartUpload`."""
    return _params(params, to_object.inject(params, context))


def s3_writer(response: object) -> SpanContext | None:
    """Whose call wrote the object that an answer of `GetObject` or `HeadObject` brings."""
    return to_object.extract_metadata(Shape(response))


def s3_copy(params: Params, context: SpanContext) -> Params:
    """`CopyObject`: only where the copy's metadata is the caller's, and not the source's."""
    return s3_object(params, context) if params.get("MetadataDirective") == "REPLACE" else params


def dynamodb_item(params: Params, context: SpanContext) -> Params:
    """`PutItem`."""
    return _with(params, "Item", to_item.inject(params.get("Item"), context, _now_ms()))


def dynamodb_batch(params: Params, context: SpanContext) -> Params:
    """`BatchWriteItem`: each put; a batch of the largest items is still smaller than a request may be."""
    tables = params.get("RequestItems")
    if not isinstance(tables, dict):
        return params
    now_ms = _now_ms()

    def put(request: Any) -> Any:
        return _inside(request, "PutRequest", lambda item: to_item.inject(item, context, now_ms))

    written = {table: _each(requests, put) for table, requests in tables.items()}
    same = all(written[table] is requests for table, requests in tables.items())
    return params if same else {**params, "RequestItems": written}


def dynamodb_transaction(params: Params, context: SpanContext) -> Params:
    """`TransactWriteItems`: each put, unless a token says that the same transaction may be sent again."""
    actions: Any = params.get("TransactItems")
    if params.get("ClientRequestToken") is not None or not isinstance(actions, list | tuple):
        return params
    now_ms = _now_ms()
    spare = to_item.TRANSACTION_BYTES - sum(_weight(action) for action in actions)

    def put(action: Any) -> Any:
        nonlocal spare
        room = spare
        written = _inside(action, "Put", lambda item: to_item.inject(item, context, now_ms, room))
        if written is not action:
            spare -= _weight(written) - _weight(action)
        return written

    return _with(params, "TransactItems", _each(actions, put))


def _weight(action: Any) -> int:
    """At least the bytes that an action counts for: all of its values, typed or native, and every name."""
    return to_item.item_size(action, typed=False) if isinstance(action, dict) else 0


def _inside(holder: Any, key: str, write: Any) -> Any:
    """`holder` with its `key`'s `Item` written, or the very same."""
    target = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(target, dict):
        return holder
    item = target.get("Item")
    written = write(item)
    return holder if written is item else {**holder, key: {**target, "Item": written}}


def _each(members: Any, write: Any) -> Any:
    if not isinstance(members, list | tuple):
        return members
    written = [write(member) for member in members]
    return written if any(new is not old for new, old in zip(written, members, strict=True)) else members


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _params(params: Params, injected: Any) -> Params:
    return params if injected is params else dict(injected)


def _with(params: Params, key: str, injected: Sequence[Any] | Any) -> Params:
    return params if injected is params.get(key) else {**params, key: injected}
