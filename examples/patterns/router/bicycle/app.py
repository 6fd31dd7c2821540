"""Carries letters that stay here."""

import json


def handler(event, context):
    """Carry each letter."""
    return [json.loads(record["body"])["to"] for record in event["Records"]]
