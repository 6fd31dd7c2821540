"""Makes one average of all readings of a batch."""

import json
import os

import boto3

sqs = boto3.client("sqs")
QUEUE = os.environ["REPORTS_QUEUE_URL"]


def handler(event, context):
    """Average the readings and send the result."""
    degrees = [json.loads(record["body"])["degrees"] for record in event["Records"]]
    report = {"degrees": sum(degrees) / len(degrees), "of": len(degrees)}
    sqs.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(report))
