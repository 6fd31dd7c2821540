"""Destinations: where the end of an asynchronous invocation goes, by a queue, a bus and a function."""


def start(hand):
    """Have one order booked and paid, and then one that cannot be booked."""
    hand.invoke("Clerk", {"order": "1001", "rooms": 1})
    hand.wait(lambda: hand.ran("Receipt") and hand.ran("Thank"), "the receipt and the thanks")
    hand.invoke("Clerk", {"order": "1002", "rooms": 0})


def judge(outcome):
    """Everybody was told what they had to know, by way of the record that Lambda makes."""
    told = {answer.function: answer.payload for answer in outcome.answered if answer.function == "receipt"}
    yield "the receipt is for what was booked", "" if told == {"receipt": [{"booked": "1001"}]} else str(told)
    ran = {name: stats.invocations for name, stats in outcome.stats.items()}
    expected = {"clerk": 2, "book": 3, "pay": 1, "receipt": 1, "apologize": 1, "thank": 1}
    yield "what failed was tried twice and apologized for once", "" if ran == expected else str(ran)
