"""Counts, and never has enough."""

import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE = os.environ["COUNT_QUEUE_URL"]


def handler(event, context):
    """Send the next number to the queue that the last one came from."""
    for record in event["Records"]:
        sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(json.loads(record["body"]) + 1))
