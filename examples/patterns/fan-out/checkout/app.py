"""Publishes an order; who is interested in it, the topic knows."""

import json
import os

import boto3

sns = boto3.client("sns")
TOPIC = os.environ["ORDERS_TOPIC_ARN"]


def handler(event, context):
    """Publish the order."""
    sns.publish(TopicArn=TOPIC, Message=json.dumps(event))
    return {"accepted": event["order"]}
