"""A loop: a function that sends to the queue that wakes it, until Lambda stops it."""

TURNS = 16  # Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite loops"


def start(hand):
    """Begin to count."""
    hand.invoke("Begin", {"n": 1})


def finish(hand):
    """Wait until Lambda refused to go on and the message was put aside."""
    hand.wait(lambda: hand.dropped("Count") == 1, "an invocation that Lambda dropped")
    hand.wait(lambda: hand.lying("StoppedQueue") == 1, "the message in the dead-letter queue")


def judge(outcome):
    """What Lambda counts by went around with every message, beside our own context."""
    turns = [header.rpartition("Lineage=")[2].rpartition(":")[2] for header in outcome.trace_headers["count"]]
    expected = [str(turn) for turn in range(TURNS)]
    yield "Lambda's own count went around with every message", "" if turns == expected else str(turns)
    traces = {span.trace_id for span in outcome.spans}
    yield "all of it is one trace", "" if len(traces) == 1 else f"{len(traces)} traces"
    stats = outcome.stats["count"]
    wrong = f"{stats.invocations} ran, {stats.recursions_dropped} were dropped"
    yield "Lambda stopped the loop after its sixteenth turn", "" if wrong == "16 ran, 1 were dropped" else wrong
