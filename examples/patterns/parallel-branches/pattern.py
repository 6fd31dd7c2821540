"""Parallel branches of a state machine: three functions at once, then one that has all their answers."""


def start(hand):
    """Request one offer."""
    hand.invoke("Request", {"sku": "lantern", "customer": "ada"})


def judge(outcome):
    """The last state had what the branches answered, in their order."""
    answers = [answer.payload for answer in outcome.answered if answer.function == "decide"]
    expected = [{"sku": "lantern", "offer": {"price": "19.90", "stock": 3, "credit": True}}]
    yield "the offer is made of all three answers", "" if answers == expected else str(answers)
