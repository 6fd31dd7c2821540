"""Takes the money."""


def handler(event, context):
    """Take it."""
    return {"paid": event["order"]}
