"""Knows whom to trust."""


def handler(event, context):
    """Answer whether a customer may pay later."""
    return {"credit": event["customer"] == "ada"}
