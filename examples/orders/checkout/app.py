"""POST /orders: takes an order and announces it to whoever cares."""

import json
import os

import boto3

sns = boto3.client("sns")
TOPIC_ARN = os.environ["ORDERS_TOPIC_ARN"]


def handler(event, context):
    """Publish the order; answer 202, or 400 when it is none."""
    try:
        order = json.loads(event["body"])
        order_id = order["order"]
    except (KeyError, TypeError, ValueError):
        return answer(400, {"error": "an order is a JSON object with the key 'order'"})
    sns.publish(
        TopicArn=TOPIC_ARN,
        Message=json.dumps(order),
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "order"}},
    )
    return answer(202, {"order": order_id, "status": "accepted"})


def answer(status, body):
    """Make the answer that an HTTP API passes on."""
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
