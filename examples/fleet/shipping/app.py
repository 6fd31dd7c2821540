"""One of the many functions: it knows nothing of hoptrace or the stream."""


def handler(event: dict[str, object], context: object) -> dict[str, object]:
    """Ship an order."""
    return {"shipped": event.get("order")}
