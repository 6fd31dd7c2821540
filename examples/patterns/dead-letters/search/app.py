"""Searches for what was lost."""

import json


def handler(event, context):
    """Answer what was found."""
    (record,) = event["Records"]
    return json.loads(record["body"])
