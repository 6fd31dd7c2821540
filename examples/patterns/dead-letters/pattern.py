"""Retries to a dead-letter queue, and what becomes of the message there."""


def start(hand):
    """Accept a parcel that nobody can sort."""
    hand.invoke("Accept", {"parcel": "7", "to": "nowhere"})


def judge(outcome):
    """The dead letter is the message as it was sent."""
    found = [answer.payload for answer in outcome.answered if answer.function == "search"]
    yield "what was lost was found as it was sent", "" if found == [{"parcel": "7", "to": "nowhere"}] else str(found)
