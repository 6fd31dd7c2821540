"""Records read back: as many spans as fit one request, and what they mean for those that follow.

Reading changes nothing. What was read counts only once it is sent (`Reader.commit`), so that a batch whose request
failed is read again, whole.
"""

from __future__ import annotations

import json

from .closing import STARTED, closed, failed_init

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .spool import Source

MOST_SPANS = 512
"""Of one request (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`'s default)."""

_BYTES = 1 << 20

TRACES, LOGS, METRICS = "traces", "logs", "metrics"
SIGNALS = (TRACES, LOGS, METRICS)
"""In the order in which they are sent: a span that arrives twice is one span, a count that does is a wrong number."""


class Batch:
    """What is read together; one request for each signal carries it.

    Attributes:
        resource, scope: whose spans these are.
        spans: in the records' shape.
        metrics, logs: whole records.
        begun: whether some of it is sent, and no longer in here.
        failures: how often the rest could not be sent.
        count: bytes of the source.
        dropped: how many records the tracer could not write, by reason.
    """

    __slots__ = (
        "begun",
        "count",
        "dropped",
        "failures",
        "logs",
        "metrics",
        "opened",
        "resource",
        "scope",
        "spans",
    )

    def __init__(self, resource: dict[str, Any], scope: tuple[str, str], opened: dict[str, dict[str, Any]]) -> None:
        self.resource = resource
        self.scope = scope
        self.opened = opened
        self.spans: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.begun = False
        self.failures = 0
        self.dropped: dict[str, int] = {}
        self.count = 0

    def of(self, signal: str) -> list[dict[str, Any]]:
        """What there is of a signal."""
        return {TRACES: self.spans, LOGS: self.logs, METRICS: self.metrics}[signal]

    def part(self, signal: str, items: list[dict[str, Any]]) -> Batch:
        """Some of it, for a request of its own."""
        found = Batch(self.resource, self.scope, {})
        found.of(signal).extend(items)
        return found


class Reader:
    """Reads one source.

    Args:
        resource, scope: of spans before the first record that says.
    """

    def __init__(self, source: Source, resource: dict[str, Any], scope: tuple[str, str]) -> None:
        self.source = source
        self._resource = resource
        self._scope = scope
        self._opened: dict[str, dict[str, Any]] = {}
        self._begun: Batch | None = None

    def read(self, now: int) -> Batch | None:
        """The next batch; `None` at the end. `now` in nanoseconds since the epoch.

        A batch may be without spans: then its bytes are all that there is to commit.
        """
        if self._begun is not None:
            return self._begun
        text = self.source.read(_BYTES)
        batch = Batch(self._resource, self._scope, dict(self._opened))
        lines = text.splitlines(keepends=True)
        for line in lines:
            if len(batch.spans) + len(batch.logs) + len(batch.metrics) >= MOST_SPANS:
                break
            batch.count += len(line)
            _take(batch, line)
        if self.source.orphan and self.source.offset + batch.count >= self.source.size:
            for begin in batch.opened.values():
                for record in closed(begin, now):
                    _add(batch, record)
            batch.opened = {}
        return batch if batch.count or batch.spans else None

    def keep(self, batch: Batch) -> None:
        """Some of the batch is sent, and the rest could not be: go on with just this one."""
        self._begun = batch

    def commit(self, batch: Batch) -> None:
        """The batch is done with, sent or refused for good."""
        self._begun = None
        self._resource, self._scope, self._opened = batch.resource, batch.scope, batch.opened
        self.source.sent(batch.count)


def _take(batch: Batch, line: bytes) -> None:
    """Add a record to a batch; what is no record of ours is passed over, as the collector does."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(record, dict):
        return
    kind = record.get("type")
    if kind in ("begin", "init_error") and isinstance(record.get("resource"), dict):
        batch.resource = record["resource"]
    if kind == "dropped":
        count, reason = record.get("count"), record.get("reason")
        if isinstance(count, int) and isinstance(reason, str):
            batch.dropped[reason] = batch.dropped.get(reason, 0) + count
    elif kind == "metrics":
        batch.metrics.append(record)
    elif kind == "log":
        batch.logs.append(record)
    elif kind == "init_error":
        batch.spans.append(failed_init(record))
    elif isinstance(record.get("span"), dict):
        _take_span(batch, record)


def _take_span(batch: Batch, record: dict[str, Any]) -> None:
    kind, span = record.get("type"), record["span"]
    flags = span.get("flags", 1)
    if isinstance(flags, int) and not flags & 1:
        return  # not sampled: written for the collector's metrics
    identifier = str(span.get("span_id"))
    if kind == "begin":
        batch.opened[identifier] = record
    elif kind == "start":
        _open(batch, identifier, record)
    elif kind in ("span", "end"):
        batch.opened.pop(identifier, None)
        _open(batch, identifier, None)
        _add(batch, record)


def _open(batch: Batch, identifier: str, record: dict[str, Any] | None) -> None:
    """Keep a span that has begun with its invocation, or with `None` forget it: it has ended."""
    for begin in batch.opened.values():
        if record is None:
            begin.get(STARTED, {}).pop(identifier, None)
        elif begin.get("request_id") == record.get("request_id"):
            begin.setdefault(STARTED, {})[identifier] = record


def _add(batch: Batch, record: dict[str, Any]) -> None:
    """Note where another library made the span, or its resource is another."""
    batch.spans.append(record["span"])
    scope, resource = record.get("scope"), record.get("resource")
    if isinstance(scope, list) and len(scope) > 1:
        batch.spans[-1]["scope"] = (str(scope[0]), str(scope[1]))
    if isinstance(resource, dict):
        batch.spans[-1]["resource"] = {**batch.resource, **resource}


def grouped(batch: Batch) -> list[tuple[dict[str, Any], tuple[str, str], list[dict[str, Any]]]]:
    """The batch's spans by resource and scope, each group in the order of its first span."""
    groups: dict[tuple[str, tuple[str, str]], tuple[dict[str, Any], tuple[str, str], list[dict[str, Any]]]] = {}
    for span in batch.spans:
        resource, scope = span.get("resource", batch.resource), span.get("scope", batch.scope)
        name = json.dumps(resource, sort_keys=True, default=str) if resource is not batch.resource else ""
        groups.setdefault((name, tuple(scope)), (resource, scope, []))[2].append(span)
    return list(groups.values()) or [(batch.resource, batch.scope, [])]
