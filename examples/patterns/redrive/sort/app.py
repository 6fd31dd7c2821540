"""Sorts parcels into boxes, which a table knows."""

import json
import os

import boto3

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["BOXES_TABLE"]


def handler(event, context):
    """Find the box of each parcel; a place without one is an error."""
    return [box(json.loads(record["body"])["to"]) for record in event["Records"]]


def box(place):
    """Look up the box for a place."""
    return dynamodb.get_item(TableName=TABLE, Key={"place": {"S": place}})["Item"]["box"]["N"]
