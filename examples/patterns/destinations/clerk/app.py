"""Hands orders over, and does not wait."""

import json
import os

import boto3

functions = boto3.client("lambda")


def handler(event, context):
    """Have the order booked, and paid when there is something to pay."""
    hand_over("BOOK_FUNCTION", event)
    if event["rooms"]:
        hand_over("PAY_FUNCTION", event)


def hand_over(function, event):
    """Invoke a function without waiting for it."""
    functions.invoke(FunctionName=os.environ[function], InvocationType="Event", Payload=json.dumps(event))
