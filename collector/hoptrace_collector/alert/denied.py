"""The rule `operation-denied`: whether a function does what its policy (`HOPTRACE_POLICY`) does not allow.

A state for each function and operation. It is ALARM from the first attempt on, and OK again when an invocation has
ended without one and the last is five minutes ago: a function that does it now and then makes one alert, not hundreds.
"""

from hoptrace_collector.alert.rules import ALARM, MOST_STATES, OK, Change, Key, State, States
from hoptrace_collector.model import Invocation

__all__ = ["OPERATION_DENIED", "evaluate_denied"]

OPERATION_DENIED = "operation-denied"
QUIET = 300 * 10**9
"""Nanoseconds without an attempt after which it is over."""


def evaluate_denied(states: States, invocation: Invocation, function: str) -> tuple[States, list[Change]]:
    """Return the states after `invocation` of `function`, and what changed; `states` itself is left as it is.

    An ALARM's `since` is the latest attempt.
    """
    now = invocation.span.end
    found, changes = dict(states), []
    for denied in invocation.denied:
        key = Key(OPERATION_DENIED, function, denied.operation)
        before = found.pop(key, None)
        what = "was not let through" if denied.mode == "block" else "was called"
        after = State(ALARM, f"{denied.operation} {what}: the policy does not allow it ({denied.mode})", now)
        found[key] = after
        if before is None or before.value != ALARM:
            changes.append(Change(key, before, after, invocation))
    tried = {denied.operation for denied in invocation.denied}
    for key, state in states.items():
        over = key.error_type not in tried and now - state.since >= QUIET
        if key.rule == OPERATION_DENIED and key.function == function and state.value == ALARM and over:
            found[key] = after = State(OK, f"{key.error_type} was not tried again", now)
            changes.append(Change(key, state, after, invocation))
    while len(found) > MOST_STATES:
        del found[next(iter(found))]
    return (found, changes) if found != states else (states, changes)
