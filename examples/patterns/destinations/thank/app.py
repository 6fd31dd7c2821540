"""Thanks for what was paid."""


def handler(event, context):
    """Answer for which order."""
    return event["responsePayload"]
