"""Measures, and streams what it measured."""

import json
import os

import boto3

kinesis = boto3.client("kinesis")
STREAM = os.environ["READINGS_STREAM"]


def handler(event, context):
    """Stream one reading."""
    kinesis.put_record(StreamName=STREAM, PartitionKey=event["station"], Data=json.dumps(event))
