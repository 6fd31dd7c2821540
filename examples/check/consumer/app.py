"""The far end of every hop: keeps the event as it arrived, and Lambda's own trace header beside it."""

import json
import os
import time
import uuid

import boto3

table = boto3.resource("dynamodb").Table(os.environ["CHECK_TABLE"])


def handler(event, context):
    """One item an invocation."""
    w3c = getattr(context, "w3c", None)
    item = {
        "consumer": os.environ["CHECK_CONSUMER"],
        "id": f"{time.time():.3f}-{uuid.uuid4()}",
        "request_id": context.aws_request_id,
        "trace_header": os.environ.get("_X_AMZN_TRACE_ID", ""),
        "w3c": json.dumps(w3c() if callable(w3c) else None),
        "event": json.dumps(event),
    }
    table.put_item(Item=item)
    if isinstance(event, dict) and event.get("fail"):
        raise RuntimeError("as asked")
    return {"kept": True}
