"""Accepts a parcel and queues it."""

import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE = os.environ["PARCELS_QUEUE_URL"]


def handler(event, context):
    """Queue the parcel."""
    sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(event))
