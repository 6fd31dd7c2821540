"""Writes orders down."""

import json


def handler(event, context):
    """Take the order of each message."""
    orders = [json.loads(json.loads(record["body"])["Message"]) for record in event["Records"]]
    return {"written": [order["order"] for order in orders]}
