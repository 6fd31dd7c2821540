"""Lambda invoking Lambdas: two whose answers are waited for, one that is left alone."""


def start(hand):
    """Ask for a quote."""
    hand.invoke("Quote", {"sku": "lantern"})


def judge(outcome):
    """The context went beside the payload, not in it: `note` prints the names of what it got."""
    noted = "note: ['price', 'stock']" in outcome.log
    yield "the payload is what was sent", "" if noted else "note got something else"
