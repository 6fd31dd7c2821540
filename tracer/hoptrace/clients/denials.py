"""A call that the policy does not allow: noted on its span, and told to the collector at once.

In a record of its own, since metrics and alerts are made of it: whatever becomes of the span (not sampled) and of the
invocation (killed).
"""

from ..capture.policy import Denied, blocks, note
from ..encode import denied_record
from ..guard import guard
from ..send import append
from ..spans import Span


def tell(span: Span, denied: Denied) -> None:
    """Note it wherever it is to be seen."""
    note(span, denied)
    with guard("clients.denials"):
        append(denied_record(span.request_id, "block" if blocks() else "observe", denied.operation, denied.rule))
