"""Writes a receipt for what was booked."""

import json


def handler(event, context):
    """Answer what the receipts say."""
    return [json.loads(record["body"])["responsePayload"] for record in event["Records"]]
