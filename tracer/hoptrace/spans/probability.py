"""How likely a span was to be kept, as it travels: `th` and `rv` in the `ot` member of a W3C `tracestate`.

By OpenTelemetry's "TraceState: Probability Sampling" and "TraceState Handling". Whoever decides about a trace compares
the same 56 bits of chance with a threshold of their own, so that what is kept with a smaller share is kept with every
larger one too, in whichever process, and early or late:

    randomness   `rv`, 14 hex digits, or where there is none the last 56 bits of the trace id
    threshold    how many of the 2^56 values are refused: (1 - share) * 2^56
    kept         randomness >= threshold
    `th`         the largest threshold that a span has passed, in hex without trailing zeros: a backend counts it as
                 2^56 / (2^56 - th) spans; without it nobody knows

Everything here takes whatever came over the wire and never raises.
"""

from __future__ import annotations

from math import frexp

_BITS = 56
_DIGITS = 14
NEVER = 1 << _BITS
"""The threshold that no trace passes."""

_PRECISION = 4  # digits, as the specification recommends
_HEX = frozenset("0123456789abcdef")
_LONGEST_MEMBER = 256  # of `ot`'s value ("TraceState Handling")
_LONGEST = 512
_MOST_MEMBERS = 32  # W3C Trace Context, "tracestate"


def threshold(share: float) -> int:
    """The threshold for a share from 0 to 1, to four digits (more the smaller the share); `NEVER` for 0."""
    if share <= 0:
        return NEVER
    if share >= 1:
        return 0
    refused = NEVER - round(share * NEVER)
    precision = min(_DIGITS, _PRECISION + frexp(share)[1] // -4)
    unit = 1 << 4 * (_DIGITS - max(1, precision))
    return min(NEVER - 1, (refused + unit // 2) // unit * unit)


def randomness(trace_id: str, trace_state: str) -> int:
    """The 56 bits of chance of a trace, by its id (32 hex digits) and the `tracestate` that came with it."""
    rv = _fields(trace_state).get("rv") or "" if "rv:" in trace_state else ""
    if len(rv) == _DIGITS and _HEX.issuperset(rv):
        return int(rv, 16)
    return int(trace_id[-_DIGITS:], 16)


def passed(trace_state: str) -> int | None:
    """The threshold that `th` says, `None` without one."""
    th = _fields(trace_state).get("th") or "" if "th:" in trace_state else ""
    if not 0 < len(th) <= _DIGITS or not _HEX.issuperset(th):
        return None
    return int(th.ljust(_DIGITS, "0"), 16)


def with_threshold(trace_state: str, value: int | None) -> str:
    """A `tracestate` whose `th` is this threshold, or that has none; every other member and field stays.

    A changed member goes to the front, as W3C asks. Where there is no room (512 characters, 32 members) the last
    members of others are left out, as W3C allows.
    """
    fields = _fields(trace_state)
    fields.pop("th", None)
    if value is not None:
        fields = {"th": format(value, f"0{_DIGITS}x").rstrip("0") or "0", **fields}
    others = [member for member in _members(trace_state) if member.partition("=")[0] != "ot"]
    inside = ";".join(f"{name}:{text}" if text is not None else name for name, text in fields.items())
    found = ([f"ot={inside}"] if 0 < len(inside) <= _LONGEST_MEMBER else []) + others
    del found[_MOST_MEMBERS:]
    while found and len(",".join(found)) > _LONGEST:
        found.pop()
    return ",".join(found)


def _members(trace_state: str) -> list[str]:
    return [member.strip() for member in trace_state.split(",") if member.strip()]


def _fields(trace_state: str) -> dict[str, str | None]:
    """What stands in `ot`, in its order; the value is `None` where there is no colon."""
    for member in _members(trace_state):
        key, _, value = member.partition("=")
        if key == "ot":
            found: dict[str, str | None] = {}
            for field in value.split(";"):
                name, colon, text = field.partition(":")
                if field:
                    found.setdefault(name, text if colon else None)
            return found
    return {}
