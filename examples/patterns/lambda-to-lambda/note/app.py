"""Notes what was quoted; nobody waits for it."""


def handler(event, context):
    """Print the quote."""
    print(sorted(event))
