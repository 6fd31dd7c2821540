"""Keeps the latest reading of each station."""

import base64
import json
import os

import boto3

import hoptrace

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["LATEST_TABLE"]


def handler(event, context):
    """Keep each reading."""
    for record in hoptrace.records(event):
        reading = json.loads(base64.b64decode(record["kinesis"]["data"]))
        dynamodb.update_item(
            TableName=TABLE,
            Key={"station": {"S": reading["station"]}},
            UpdateExpression="SET degrees = :degrees",
            ExpressionAttributeValues={":degrees": {"S": reading["degrees"]}},
        )
