"""B3, Zipkin's format: the single header `b3`, and its older spelling in several (https://github.com/openzipkin/b3-propagation)."""

from hoptrace.spans.context import SAMPLED, SpanContext, ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT = ("1", "d", "true")  # "true" is what some old senders of X-B3-Sampled write


def read(get: "Callable[[str], str]") -> SpanContext | None:
    """Read the single header, or else the several. A bare decision ("0") is no context."""
    fields = get("b3").strip().split("-")
    if 2 <= len(fields) <= 4:
        trace_id, span_id, decision = fields[0], fields[1], fields[2] if len(fields) > 2 else ""
    else:
        trace_id, span_id = get("x-b3-traceid").strip(), get("x-b3-spanid").strip()
        decision = "d" if get("x-b3-flags").strip() == "1" else get("x-b3-sampled").strip().lower()
    known = ids(trace_id.rjust(32, "0") if len(trace_id) == 16 else trace_id, span_id)
    # No decision means that it is the receiver's, and ours is to keep.
    flags = SAMPLED if decision in _KEPT or not decision else 0
    return SpanContext(*known, flags, "", remote=True) if known is not None else None


def write(context: SpanContext, single: bool) -> dict[str, str]:
    """Write the single header, or the several."""
    decision = "1" if context.sampled else "0"
    if single:
        return {"b3": f"{context.trace_id}-{context.span_id}-{decision}"}
    return {"x-b3-traceid": context.trace_id, "x-b3-spanid": context.span_id, "x-b3-sampled": decision}
