"""Makes an offer of what the branches found."""


def handler(event, context):
    """Answer the offer."""
    offer = {}
    for answer in event["answers"]:
        offer.update(answer)
    return {"sku": event["sku"], "offer": offer}
