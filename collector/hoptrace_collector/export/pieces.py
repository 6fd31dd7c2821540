"""Cuts what one resource has sent into pieces, for destinations that take less at a time.

A leaf is the least that can be sent on its own: a span, a log record, a data point. Each piece has the heads of its
leaves (resource, scope, for data points the metric) again. Only for who needs it: whoever sends no more than a backend
takes at once never comes here.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hoptrace_collector.otlp_request import WAYS, Part, new_request, parts_of, points_of

__all__ = ["Leaf", "Piece", "halves", "leaves", "parse_request"]

_LEVEL = 12  # bytes that tags and lengths take at most around a leaf and its heads


class Leaf(NamedTuple):
    """A span, log record or data point in `message`, with what stands above it.

    The heads are messages whose lists are not to be looked at; `metric` is None but for data points. `head` is the size
    in bytes of resource and scope, `named` that of the metric beside them.
    """

    message: Any
    resource: Any
    scope: Any
    metric: Any
    head: int
    named: int


class Piece:
    """A request of one signal that is put together leaf by leaf; `size` is never less than that of its bytes."""

    def __init__(self, signal: str) -> None:
        self._signal = signal
        self._request = new_request(signal)
        self._heads: list[Any] = []
        self._into: list[Any] = []
        self.amount = 0
        self.size = 0

    def cost(self, leaf: Leaf) -> int:
        """Return by how many bytes the piece would grow at most."""
        fresh = self._fresh(leaf)
        heads = (leaf.head + 2 * _LEVEL if fresh < 2 else 0) + (leaf.named + _LEVEL if fresh < 3 else 0)
        return int(leaf.message.ByteSize()) + _LEVEL + heads

    def add(self, leaf: Leaf) -> None:
        """Add a leaf, after those of the same resource, scope and metric where they were the last."""
        self.size += self.cost(leaf)
        self.amount += 1
        fresh = self._fresh(leaf)
        above = [leaf.resource, leaf.scope, leaf.metric]
        del self._into[fresh:], self._heads[fresh:]
        for level in range(fresh, 2 if leaf.metric is None else 3):
            parent = self._into[level - 1] if level else self._request
            child = getattr(parent, WAYS[self._signal][level]).add()
            _copy_head(above[level], child)
            self._into.append(child)
            self._heads.append(above[level])
        if leaf.metric is not None:
            getattr(self._into[2], leaf.metric.WhichOneof("data")).data_points.add().CopyFrom(leaf.message)
        else:
            getattr(self._into[1], WAYS[self._signal][2]).add().CopyFrom(leaf.message)

    def _fresh(self, leaf: Leaf) -> int:
        """Return the first level whose head is another one than that of the leaf before: 0 the resource's."""
        for level, head in enumerate((leaf.resource, leaf.scope, leaf.metric)):
            if level >= len(self._heads) or self._heads[level] is not head:
                return level
        return 3

    def parts(self) -> list[Part]:
        """Return it in pieces of one resource each."""
        return parts_of(self._signal, self._request)

    def body(self) -> bytes:
        """Return the bytes of the request."""
        return bytes(self._request.SerializeToString())


def parse_request(signal: str, body: bytes) -> Any:
    """Return the Export…ServiceRequest of `body`."""
    return type(new_request(signal)).FromString(body)


def leaves(signal: str, request: Any) -> Iterator[Leaf]:
    """Give every leaf of a request, in its order."""
    for resource in getattr(request, WAYS[signal][0]):
        yield from _of_resource(signal, resource)


def halves(signal: str, data: bytes) -> list[Part]:
    """Cut the encoded Resource… message `data` into two of about as many leaves; nothing when it has no two."""
    request = new_request(signal)
    getattr(request, WAYS[signal][0]).add().MergeFromString(data)
    found = list(leaves(signal, request))
    if len(found) < 2:
        return []
    middle = len(found) // 2
    return [part for half in (found[:middle], found[middle:]) for part in _piece(signal, half).parts()]


def _piece(signal: str, found: Iterable[Leaf]) -> Piece:
    piece = Piece(signal)
    for leaf in found:
        piece.add(leaf)
    return piece


def _of_resource(signal: str, resource: Any) -> Iterator[Leaf]:
    _, scopes, ends = WAYS[signal]
    above = resource.resource.ByteSize() + len(resource.schema_url)
    for scope in getattr(resource, scopes):
        head = above + scope.scope.ByteSize() + len(scope.schema_url)
        for end in getattr(scope, ends):
            if signal != "metrics":
                yield Leaf(end, resource, scope, None, head, 0)
                continue
            named = len(end.name) + len(end.description) + len(end.unit) + 64
            named = 4 * named + sum(pair.ByteSize() + _LEVEL for pair in end.metadata)
            for point in points_of(end):
                yield Leaf(point, resource, scope, end, head, named)


def _copy_head(source: Any, target: Any) -> None:
    """Copy all of a message but what hangs from it."""
    for field, value in source.ListFields():
        if field.name in _BELOW:
            continue
        if field.message_type is None:
            setattr(target, field.name, value)
        elif field.name in _DATA:
            data = getattr(target, field.name)
            data.SetInParent()
            for name in ("aggregation_temporality", "is_monotonic"):
                if hasattr(value, name):
                    setattr(data, name, getattr(value, name))
        else:
            getattr(target, field.name).MergeFrom(value)


_BELOW = frozenset(name for way in WAYS.values() for name in way)
_DATA = frozenset(("gauge", "sum", "histogram", "exponential_histogram", "summary"))
