"""A message sent by a producer that is not traced."""

import json


def start(hand):
    """Send a message as an old program would: plain boto3, in a process that knows nothing of tracing."""
    hand.client("sqs").send_message(QueueUrl=hand.ref("ParcelsQueue"), MessageBody=json.dumps({"parcel": "7"}))
