"""Routes letters by where they go."""

import json
import os

import boto3

import hoptrace

sqs = boto3.client("sqs")
LOCAL, ABROAD = os.environ["LOCAL_QUEUE_URL"], os.environ["ABROAD_QUEUE_URL"]


def handler(event, context):
    """Send each letter on."""
    for record in hoptrace.records(event):
        letter = json.loads(record["body"])
        sqs.send_message(QueueUrl=ABROAD if letter["country"] else LOCAL, MessageBody=record["body"])
