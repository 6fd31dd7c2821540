"""Bills orders."""

import json


def handler(event, context):
    """Take the order of each message."""
    orders = [json.loads(json.loads(record["body"])["Message"]) for record in event["Records"]]
    return {"billed": [order["order"] for order in orders]}
