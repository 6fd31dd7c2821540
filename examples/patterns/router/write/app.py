"""Writes a letter and posts it."""

import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE = os.environ["LETTERS_QUEUE_URL"]


def handler(event, context):
    """Post the letter."""
    sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(event))
