"""Aggregator: several producers, one batch, one result."""


def start(hand):
    """Have three stations measure, each in a trace of its own, and average when the window is over."""
    for station, degrees in (("North", 11.5), ("East", 14.0), ("South", 16.5)):
        hand.invoke(station, {"degrees": degrees})
    hand.close_window("Average", records=3)


def judge(outcome):
    """The average is of all three."""
    reports = [answer.payload for answer in outcome.answered if answer.function == "publish"]
    yield "the result is made of all three readings", "" if reports == [{"degrees": 14.0, "of": 3}] else str(reports)
