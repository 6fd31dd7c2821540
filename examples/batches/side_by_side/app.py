"""Charges a batch of orders, several at a time; an order that cannot be charged fails alone."""

import json
import os
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import hoptrace

pool = ThreadPoolExecutor(4)


def handler(event, context):
    """Answer the messages that could not be charged, so that the queue delivers only those again."""
    failed = [message_id for message_id in pool.map(work, event["Records"]) if message_id]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def work(record):
    """Charge one message; answer its id when that failed."""
    try:
        with hoptrace.processing(record):  # in the thread where the work is done
            charge(json.loads(record["body"]))
    except ValueError:
        return record["messageId"]
    return None


def charge(order):
    """Ask the payment provider for the money."""
    if order["total"] <= 0:
        raise ValueError(f"order {order['order']} has no total")
    request = urllib.request.Request(os.environ["PAYMENTS"], json.dumps(order).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status
