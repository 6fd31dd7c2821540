"""Bills a batch of orders out of the queue; an order that cannot be billed fails alone."""

import json
import logging
import os
from decimal import Decimal

import boto3

log = logging.getLogger()
log.setLevel(logging.INFO)

events = boto3.client("events")
EVENT_BUS = os.environ.get("EVENT_BUS", "default")


def handler(event, context):
    """Bill each message; answer those that could not be billed."""
    billed, failed = [], []
    for record in event["Records"]:
        try:
            # The topic wraps the order in its envelope.
            order = json.loads(json.loads(record["body"])["Message"])
            billed.append((record["messageId"], bill(order)))
        except Exception:
            log.exception("could not bill the message %s", record["messageId"])
            failed.append(record["messageId"])
    failed += announce(billed)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def bill(order):
    """Add up the lines of an order."""
    total = sum(Decimal(line["price"]) * line["quantity"] for line in order["lines"])
    return {"order": order["order"], "carrier": order["carrier"], "total": str(total)}


def announce(billed):
    """Put one event for each bill; answer the ids of the messages whose event was refused."""
    if not billed:
        return []
    answer = events.put_events(
        Entries=[
            {
                "Source": "orders.billing",
                "DetailType": "OrderBilled",
                "EventBusName": EVENT_BUS,
                "Detail": json.dumps(bill),
            }
            for _, bill in billed
        ]
    )
    return [
        message_id for (message_id, _), entry in zip(billed, answer["Entries"], strict=True) if "ErrorCode" in entry
    ]
