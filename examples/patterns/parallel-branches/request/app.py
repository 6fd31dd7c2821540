"""Requests offers."""

import json
import os

import boto3

states = boto3.client("stepfunctions")


def handler(event, context):
    """Start the execution that makes an offer."""
    states.start_execution(stateMachineArn=os.environ["OFFER_STATE_MACHINE_ARN"], input=json.dumps(event))
