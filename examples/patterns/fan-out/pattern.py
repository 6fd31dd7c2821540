"""Fan-out: one message to a topic, three queues, three functions."""


def start(hand):
    """Place one order."""
    hand.invoke("Checkout", {"order": "1001"})
