"""Streaming: a Kinesis stream that carries the context, and a table's stream that cannot."""


def start(hand):
    """Measure at two stations, keep both readings, and show what changed."""
    hand.invoke("Measure", {"station": "north", "degrees": "11.5"})
    hand.invoke("Measure", {"station": "south", "degrees": "16.5"})
    hand.close_window("Keep")
    table = {"TableName": hand.ref("LatestTable"), "ConsistentRead": True}
    hand.wait(lambda: hand.client("dynamodb").scan(**table)["Count"] == 2, "two items in the table")
    hand.close_window("Show")


def judge(outcome):
    """What is shown is what was measured; nothing of the trace is in the table."""
    shown = [answer.payload for answer in outcome.answered if answer.function == "show"]
    expected = [[{"station": "north", "degrees": "11.5"}, {"station": "south", "degrees": "16.5"}]]
    yield "what is shown is what was measured", "" if shown == expected else str(shown)
