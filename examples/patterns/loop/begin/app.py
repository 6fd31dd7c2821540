"""Begins to count."""

import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE = os.environ["COUNT_QUEUE_URL"]


def handler(event, context):
    """Send the first number."""
    sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(event["n"]))
