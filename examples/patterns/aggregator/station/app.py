"""A weather station: sends what it measured."""

import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE = os.environ["READINGS_QUEUE_URL"]


def handler(event, context):
    """Send one reading."""
    sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps({"degrees": event["degrees"]}))
