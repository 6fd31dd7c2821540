"""Ships orders; its subscription is raw, so there is no envelope."""

import json


def handler(event, context):
    """Take the order of each message."""
    orders = [json.loads(record["body"]) for record in event["Records"]]
    return {"shipped": [order["order"] for order in orders]}
