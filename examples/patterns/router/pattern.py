"""Router: one function sends each message of a batch on to where it belongs."""


def start(hand):
    """Write two letters, each in a trace of its own, and route both in one batch."""
    hand.invoke("Write", {"to": "next door", "country": ""})
    hand.invoke("Write", {"to": "Lisbon", "country": "PT"})
    hand.close_window("Route", records=2)


def judge(outcome):
    """Each letter went by the right carrier, and in the trace in which it was written."""
    carried = {answer.function: answer.payload for answer in outcome.answered if answer.function != "route"}
    expected = {"bicycle": ["next door"], "plane": ["Lisbon"]}
    yield "each letter went by the right carrier", "" if carried == expected else str(carried)
