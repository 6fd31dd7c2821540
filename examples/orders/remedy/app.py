"""Acts on an alert: when a function timed out, opens its circuit, so that it no longer waits for what does not answer.

The table keeps the alert itself beside the open circuit, for whoever asks in the morning why orders go by post.
"""

import json
import os

import boto3

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["SHIPPING_TABLE"]


def handler(event, context):
    """Open the circuit of a function that timed out; leave other alerts to people."""
    alert = event["detail"]
    function, error_type = alert["resource"]["functionName"], alert["evidence"]["error.type"]
    if error_type != "timeout":
        return {"action": "none", "function": function, "error_type": error_type}
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "pk": {"S": f"circuit#{function}"},
            "state": {"S": "open"},
            "function": {"S": function},
            "error_type": {"S": error_type},
            "reason": {"S": alert["state"]["reason"]},
            "request_id": {"S": alert["resource"]["requestId"]},
            "trace_id": {"S": alert["trace"]["traceId"]},
            "alert": {"S": json.dumps(event)},
        },
    )
    return {"action": "circuit opened", "function": function, "error_type": error_type}
