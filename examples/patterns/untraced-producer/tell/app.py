"""Tells people the news."""


def handler(event, context):
    """Answer what is told."""
    return [record["Sns"]["Message"] for record in event["Records"]]
