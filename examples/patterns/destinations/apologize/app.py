"""Apologizes for what could not be booked."""


def handler(event, context):
    """Answer to whom."""
    return event["detail"]["requestPayload"]["order"]
