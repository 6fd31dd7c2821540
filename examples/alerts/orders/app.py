"""Takes orders from a queue; what it cannot book, it reports."""

import json


def handler(event, context):
    """Book each order of the batch."""
    failures = []
    for record in event["Records"]:
        try:
            book(json.loads(record["body"]))
        except (KeyError, ValueError):
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def book(order):
    """Check what an order needs to have."""
    if int(order["amount"]) <= 0:
        raise ValueError("an order of nothing")
