"""Publishes an average."""

import json


def handler(event, context):
    """Answer the report that came."""
    (record,) = event["Records"]
    return json.loads(record["body"])
