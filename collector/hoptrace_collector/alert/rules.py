"""Decides whether a function is in trouble: pure functions from what was and what happened to what is.

A rule looks at one invocation at a time. What is reported is the change, not the failure: of a hundred timeouts in a
row the first makes an event, and the next success makes the other.
"""

from typing import Any, NamedTuple

from hoptrace_collector.model import Invocation

__all__ = ["Change", "Key", "State", "evaluate", "states_from_json", "states_to_json"]

INVOCATION_FAILED = "invocation-failed"
OK, ALARM = "OK", "ALARM"
MOST_STATES = 200


class Key(NamedTuple):
    """What a state belongs to."""

    rule: str
    function: str
    error_type: str


class State(NamedTuple):
    """`value` is OK or ALARM; `since` in nanoseconds since the epoch."""

    value: str
    reason: str
    since: int


class Change(NamedTuple):
    """One state change and the invocation that caused it."""

    key: Key
    before: State | None
    after: State
    invocation: Invocation


States = dict[Key, State]


def evaluate(states: States, invocation: Invocation, function: str) -> tuple[States, list[Change]]:
    """Return the states after `invocation` of `function`, and what changed; `states` itself is left as it is."""
    if invocation.outcome == "unknown":
        return states, []
    if invocation.failed:
        return _failed(states, invocation, function)
    return _succeeded(states, invocation, function)


def _failed(states: States, invocation: Invocation, function: str) -> tuple[States, list[Change]]:
    key = Key(INVOCATION_FAILED, function, invocation.error_type or invocation.outcome)
    before = states.get(key)
    if before is not None and before.value == ALARM:
        return states, []
    after = State(ALARM, f"an invocation ended with {key.error_type}: {invocation.message}", invocation.span.end)
    changed = {**states, key: after}
    while len(changed) > MOST_STATES:
        del changed[next(iter(changed))]
    return changed, [Change(key, before, after, invocation)]


def _succeeded(states: States, invocation: Invocation, function: str) -> tuple[States, list[Change]]:
    after = State(OK, "an invocation succeeded again", invocation.span.end)
    changes = [
        Change(key, before, after, invocation)
        for key, before in states.items()
        if before.value == ALARM and key.function == function and key.rule == INVOCATION_FAILED
    ]
    if not changes:
        return states, []
    return {**states, **{change.key: after for change in changes}}, changes


def states_to_json(states: States) -> list[Any]:
    """Return the states as JSON can hold them."""
    return [[*key, *state] for key, state in states.items()]


def states_from_json(value: object) -> States:
    """Read what `states_to_json` wrote; what does not fit is left out."""
    states: States = {}
    for item in value if isinstance(value, list) else []:
        if not (isinstance(item, list) and len(item) == 6 and all(isinstance(part, str) for part in item[:5])):
            continue
        if item[3] in (OK, ALARM) and isinstance(item[5], int):
            states[Key(*item[:3])] = State(*item[3:])
    return states
