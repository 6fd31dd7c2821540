"""What waits until it is known what becomes of its invocation."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hoptrace_collector.export.encode import encode_span, with_trace_state
from hoptrace_collector.model import ERROR, Begin, Origin, Span
from hoptrace_collector.receive.records import Mark
from hoptrace_collector.sampling.foreign import Piece

__all__ = ["Group", "Held"]

_OVERHEAD = 250  # the tuple, its texts, and its place in the list


class Held(NamedTuple):
    """An encoded span, all but its tracestate, in which the decision is written."""

    origin: Origin
    data: bytes
    trace_id: bytes
    trace_state: str
    mark: Mark | None

    @classmethod
    def of(cls, origin: Origin, span: Span, mark: Mark | None) -> "Held":
        """Encode a span."""
        return cls(origin, encode_span(span, trace_state=""), span.trace_id, span.trace_state, mark)

    @property
    def size(self) -> int:
        """Bytes that it takes up."""
        return len(self.data) + len(self.trace_state) + _OVERHEAD

    def whole(self, trace_state: str | None = None) -> bytes:
        """Return the span, with its own tracestate or another one."""
        return with_trace_state(self.data, self.trace_state if trace_state is None else trace_state)


class Group:
    """The spans of one invocation that is not decided; `begin` None while only spans of it have come.

    `failed` says that one of them has the status ERROR, `size` is in bytes.
    """

    __slots__ = ("begin", "failed", "foreign", "size", "spans")

    def __init__(self, begin: Begin | None = None) -> None:
        self.begin = begin
        self.failed = False
        self.size = 0
        self.spans: list[Held] = []
        self.foreign: list[Piece] = []

    def hold(self, held: Held, *, failed: bool) -> None:
        """Keep a span."""
        self.spans.append(held)
        self.size += held.size
        self.failed = self.failed or failed

    def hold_foreign(self, piece: Piece) -> None:
        """Keep what somebody else has sent of the same trace."""
        self.foreign.append(piece)
        self.size += len(piece.data) + _OVERHEAD
        self.failed = self.failed or piece.failed

    def merge(self, other: "Group") -> None:
        """Take over what has been held elsewhere."""
        self.spans += other.spans
        self.foreign += other.foreign
        self.size += other.size
        self.failed = self.failed or other.failed


def any_failed(spans: Iterable[Span]) -> bool:
    """Whether one of the spans has the status ERROR."""
    return any(span.status == ERROR for span in spans)


def all_held(groups: Iterable[tuple[str, Group]]) -> Iterator[tuple[str, Held | Piece]]:
    """Hand out everything that is held, each with its invocation's request id."""
    for request_id, group in groups:
        yield from ((request_id, held) for held in group.spans)
        yield from ((request_id, piece) for piece in group.foreign)
