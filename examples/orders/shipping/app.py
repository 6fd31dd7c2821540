"""Ships a billed order with the carrier that the customer chose.

It asks the carrier and waits for the answer without a limit of its own. That is the bug of this application: a carrier
that does not answer takes the whole function with it.
"""

import os
import time

import boto3

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["SHIPPING_TABLE"]

BACKUP_CARRIER = "post"
# Seconds until each carrier answers.
CARRIERS = {"swift": 0.05, "post": 0.1, "snail": 900}


def handler(event, context):
    """Book the carrier and note the shipment."""
    bill = event["detail"]
    carrier = BACKUP_CARRIER if circuit_is_open() else bill["carrier"]
    tracking = book(carrier, bill["order"])
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "pk": {"S": f"shipment#{bill['order']}"},
            "carrier": {"S": carrier},
            "tracking": {"S": tracking},
        },
    )
    return {"order": bill["order"], "carrier": carrier, "tracking": tracking}


def circuit_is_open():
    """Ask whether somebody decided that carriers are not to be waited for."""
    found = dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "circuit#shipping"}}, ConsistentRead=True)
    return found.get("Item", {}).get("state", {}).get("S") == "open"


def book(carrier, order_id):
    """Ask a carrier to fetch the order; answer its tracking number."""
    time.sleep(CARRIERS[carrier])
    return f"{carrier}-{order_id}"
