"""Consistent probability sampling: the `th` and `rv` of OpenTelemetry in a W3C `tracestate`.

By OpenTelemetry's "TraceState: Probability Sampling" and "TraceState Handling". A trace has 56 bits of chance, `rv` or
the last 56 bits of its id; it is kept where they are not less than the threshold, (1 - share) * 2^56. Whoever decides
by them about one trace agrees with everybody else, as far as their shares do. `th` is the largest threshold that a span
has passed: it stands for 2^56 / (2^56 - th) spans.

The tracer has the same rules for sampling at the head; the two share no code, since they share no process.
"""

from math import frexp

__all__ = ["ERASED", "NEVER", "chance_of", "decide", "threshold_of", "threshold_passed", "with_threshold"]

DIGITS = 14
NEVER = 1 << 56
ERASED = -1

_PRECISION = 4
_HEX = frozenset("0123456789abcdefABCDEF")
_LONGEST_MEMBER = 256
_LONGEST = 512
_MOST_MEMBERS = 32


def threshold_of(share: float) -> int:
    """Return the threshold for a share from 0 to 1, to four significant hex digits; `NEVER` for 0."""
    if share <= 0:
        return NEVER
    if share >= 1:
        return 0
    digits = max(1, min(DIGITS, _PRECISION + frexp(share)[1] // -4))
    unit = 1 << 4 * (DIGITS - digits)
    refused = NEVER - round(share * NEVER)
    return min((refused + unit // 2) // unit * unit, NEVER - 1)


def chance_of(trace_id: bytes, trace_state: str) -> int:
    """Return the trace's 56 bits of chance."""
    rv = _sub_key(trace_state, "rv")
    return int(rv, 16) if len(rv) == DIGITS and _HEX.issuperset(rv) else int.from_bytes(trace_id[-7:], "big")


def threshold_passed(trace_state: str) -> int | None:
    """Return the threshold that `th` tells; None when there is none."""
    th = _sub_key(trace_state, "th")
    return int(th.ljust(DIGITS, "0"), 16) if 0 < len(th) <= DIGITS and _HEX.issuperset(th) else None


def decide(chance: int, threshold: int, trace_state: str) -> int | None:
    """Return the threshold that a span of this chance has passed now, `ERASED` where nobody can know it, None if it
    has not.
    """
    passed = threshold_passed(trace_state)
    if chance < threshold:
        return None
    if passed is not None and chance < passed:
        return ERASED  # kept before against its own threshold ("General requirements")
    return max(passed or 0, threshold)


def with_threshold(trace_state: str, threshold: int | None) -> str:
    """Return the tracestate with this `th`, or with none; everything else that stands in it stays.

    The changed member goes to the front, as W3C asks, and where there is no room the last members of others go.
    """
    fields = [field for field in _own(trace_state).split(";") if field and field.partition(":")[0] != "th"]
    if threshold is not None:
        fields.insert(0, "th:" + (f"{threshold:014x}".rstrip("0") or "0"))
    own = ";".join(fields)
    others = [member for member in _members(trace_state) if member.partition("=")[0] != "ot"]
    members = ([f"ot={own}"] if own and len(own) <= _LONGEST_MEMBER else []) + others
    members = members[:_MOST_MEMBERS]
    while members and len(",".join(members)) > _LONGEST:
        members.pop()
    return ",".join(members)


def _members(trace_state: str) -> list[str]:
    return [member.strip() for member in trace_state.split(",") if member.strip()]


def _own(trace_state: str) -> str:
    """Return the value of OpenTelemetry's member."""
    return next((member[3:] for member in _members(trace_state) if member.startswith("ot=")), "")


def _sub_key(trace_state: str, key: str) -> str:
    if key + ":" not in trace_state:
        return ""
    fields = (field.partition(":") for field in _own(trace_state).split(";"))
    return next((value for name, _, value in fields if name == key), "")
