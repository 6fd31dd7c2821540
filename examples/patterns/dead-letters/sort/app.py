"""Sorts parcels by where they go."""

import json

BOXES = {"north": 1, "south": 2}


def handler(event, context):
    """Find the box of each parcel; a parcel to elsewhere is an error."""
    return [BOXES[json.loads(record["body"])["to"]] for record in event["Records"]]
