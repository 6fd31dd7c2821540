"""Opens an alert, holds it open, and resolves it: pure functions from what was, what holds, and what time it is.

    OK ──holds──► PENDING ──for `for`, and `cooldown` since the last opening──► ALARM ──holds no more──► OK

Between two openings there is always a resolution, and whoever asks twice at the same moment is told of nothing twice.
"""

from typing import NamedTuple

from hoptrace_collector.alert.rules import Rule

__all__ = ["ALARM", "ENDED", "OK", "OPENED", "PENDING", "RESOLVED", "STILL_OPEN", "State", "Step", "decide", "ended"]

OK, PENDING, ALARM = "OK", "PENDING", "ALARM"
# What an alert becomes when its environment goes, or its rule: the trouble may be over or not, nobody here will know.
UNKNOWN = "INSUFFICIENT_DATA"

# What is told, and why.
OPENED, STILL_OPEN, RESOLVED, ENDED = "opened", "still_open", "resolved", "ended"


class State(NamedTuple):
    """Where an alert is; times in nanoseconds since the epoch, 0 for never.

    `since` is when it became so, `opened` when it was opened last, `told` when it was last spoken of.
    """

    value: str = OK
    since: int = 0
    opened: int = 0
    told: int = 0


class Step(NamedTuple):
    """The next state; `transition` is empty where nothing is to be told."""

    state: State
    transition: str = ""


def decide(rule: Rule, state: State, holds: bool, now: int) -> Step:
    """Return what becomes of an alert whose rule's condition holds, or not, at `now`."""
    if not holds:
        if state.value == ALARM:
            return Step(State(OK, now, state.opened, now), RESOLVED)
        return Step(state if state.value == OK else State(OK, now, state.opened, state.told))
    if state.value == ALARM:
        if rule.repeat and now - state.told >= rule.repeat * 1e9:
            return Step(state._replace(told=now), STILL_OPEN)
        return Step(state)
    since = state.since if state.value == PENDING else now
    if now - since < rule.hold * 1e9 or (state.opened and now - state.opened < rule.cooldown * 1e9):
        return Step(State(PENDING, since, state.opened, state.told))
    return Step(State(ALARM, now, now, now), OPENED)


def ended(state: State, now: int) -> Step:
    """Return what becomes of an alert when what it is about is no longer watched."""
    if state.value != ALARM:
        return Step(State(opened=state.opened))
    return Step(State(OK, now, state.opened, now), ENDED)
