"""Lets the rules see what happens, and sees that each change of an alert reaches EventBridge.

What is open, what is counted and what could not be delivered lives in a file as well: a timeout, the very thing to be
alarmed about, resets this process.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from hoptrace_collector.alert.builtin import BUILTIN
from hoptrace_collector.alert.causes import Cause
from hoptrace_collector.alert.compiled import Get
from hoptrace_collector.alert.engine import Change, Engine
from hoptrace_collector.alert.events import Target, make_entry
from hoptrace_collector.alert.facts import (
    Facts,
    of_denied,
    of_invocation,
    of_log,
    of_point,
    of_report,
    of_span,
    recursion,
)
from hoptrace_collector.alert.outbox import Channel, Outbox
from hoptrace_collector.alert.rules import ENVIRONMENT, INVOCATION, Rule, read_rules
from hoptrace_collector.alert.sources import of_text
from hoptrace_collector.alert.summaries import Summaries
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Histogram, Invocation, LogRecord, Measured, Number, Span
from hoptrace_collector.told import Report

__all__ = ["Alerts", "Fetched"]

MOST_PENDING = 100
MOST_SUMMARIES = 500
_MOST_REMEMBERED = 16
_LOGS_TEXT = 1_000
# Seconds that rules from elsewhere may take, after a response: the function is paid for meanwhile.
_FETCH_TIMEOUT = 1.0
HERE = (INVOCATION, ENVIRONMENT)


class Fetched(Protocol):
    """Rules that lie elsewhere."""

    reference: str

    @property
    def due(self) -> bool:
        """Whether they are to be fetched now."""

    def fetch(self, deadline: float) -> str:
        """Return their text; raises an exception whose text says what to do."""


class Alerts:
    """The rules, what they have seen, and the events on their way."""

    def __init__(
        self,
        path: str,
        target: Target,
        channel: Channel,
        counters: Counters,
        *,
        tables: Mapping[str, Any] | None = None,
        remote: Fetched | None = None,
        memory: int = 0,
        initialization_type: str = "on-demand",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """`tables`: the user's rules; `remote`: where more of them are; `memory`: the function's, in bytes."""
        self._path = path
        self._target = target
        self._counters = counters
        self._tables = dict(tables or {})
        self._remote = remote
        self._memory = memory
        self._initialization_type = initialization_type
        self._now = now
        self._clock = clock
        self._outbox = Outbox("alerts", target.bus, channel, counters, most=MOST_PENDING, clock=clock)
        self._later = Outbox("summaries", target.bus, channel, counters, most=MOST_SUMMARIES, clock=clock)
        self._summaries: Summaries | None = None
        self._init_duration: float | None = None
        self._recursion: dict[str, int] = {}
        self._ended: dict[str, tuple[Invocation, Facts]] = {}
        self._last: Invocation | None = None
        self._resource: dict[str, Any] = {}
        self._origin: object = None
        self._needs: frozenset[str] | None = None
        self._unsaved = False
        self._fetched = ""
        known = self._load()
        self._fetched = str(known.get("rules") or "")
        self._engine = Engine.from_json(known.get("engine"), self._read(), HERE, now())
        self._outbox.load(known.get("pending"))
        self._later.load(known.get("summaries"))

    @property
    def pending(self) -> int:
        """How many alerts have not been delivered."""
        return len(self._outbox.entries)

    def summarise(self, wanted: Callable[[Get], bool]) -> None:
        """Tell of each invocation for which `wanted` holds."""
        self._summaries = Summaries(wanted, self._target, self._later.put)

    # What happens.

    def invoked(self, request_id: str, trace_header: str) -> None:
        """Note what is known of an invocation before it ends: who led to it."""
        count = recursion(trace_header)
        if count:
            self._recursion[request_id] = count
            while len(self._recursion) > _MOST_REMEMBERED:
                del self._recursion[next(iter(self._recursion))]

    def initialized(self, seconds: float) -> None:
        """Note how long the environment's initialisation took, or a snapshot's restore; the longest word counts."""
        self._init_duration = max(seconds, self._init_duration or 0.0)

    def restored(self) -> None:
        """Begin anew: what was before the snapshot is no other environment's, and nobody waited for it."""
        self._init_duration = None
        self._ended.clear()
        self._engine = Engine(self._read(), HERE, self._now())

    def observe(self, invocation: Invocation) -> None:
        """Let the rules see an invocation that is over; a change is written down at once."""
        if invocation.outcome == "unknown":
            return
        self._last = invocation
        count = self._recursion.pop(invocation.request_id, None) if self._recursion else None
        facts = of_invocation(invocation, self._init_duration, count)
        if facts["initialization_type"] is None:  # a span that was made here
            facts["initialization_type"] = self._initialization_type
        if invocation.request_id:
            self._ended[invocation.request_id] = (invocation, facts)
            while len(self._ended) > _MOST_REMEMBERED:
                del self._ended[next(iter(self._ended))]
        if self._summaries is not None:
            self._summaries.ended(invocation, facts)
        at, ident, cause = invocation.span.end, invocation.span.span_id.hex(), partial(self._of_invocation, invocation)
        self._see("invocation", at, ident, facts.get, cause)
        for denied in invocation.denied:
            asked = of_denied(denied, facts)
            self._see("denial", at, f"{ident} {denied.operation}", asked.get, cause)

    def reported(self, report: Report) -> None:
        """Let the rules see what Lambda reports of an invocation."""
        known = self._ended.pop(report.request_id, None)
        if known is None:
            return
        invocation, facts = known
        told = of_report(report, facts, self._memory)
        if self._summaries is not None:
            self._summaries.reported(report.request_id, told)
        span = invocation.span
        at, cause = report.time or span.end, partial(self._of_invocation, invocation)
        self._see("report", at, span.span_id.hex(), told.get, cause)

    def called(self, spans: Iterable[Span], resource: tuple[tuple[str, Any], ...]) -> None:
        """Let the rules see spans that have ended."""
        if not self._engine.wants("span"):
            return
        if resource is not self._origin:
            self._origin, self._resource, self._needs = resource, dict(resource), self._engine.needs("span")
            if self._needs is not None and not self._needs.isdisjoint(self._resource):
                self._needs = None  # what every span has says nothing about one
        for span in spans:
            if self._needs is not None and self._needs.isdisjoint(span.attributes):
                continue
            self._see("span", span.end, span.span_id.hex(), of_span(span, self._resource), partial(self._of_span, span))

    def measured(self, points: Iterable[Number | Histogram]) -> None:
        """Let the rules see points of metrics, the collector's own or the function's."""
        if not self._engine.wants("metric"):
            return
        for point in points:
            ident = f"{point.name} {point.attributes}"
            cause = Cause(point.end, ident, function=self._target.function, message=point.name)
            self._see("metric", point.end, ident, of_point(point).get, partial(self._at_home, cause))

    def signalled(self, record: Measured | LogRecord) -> None:
        """Let the rules see what the function itself measures and logs."""
        if isinstance(record, Measured):
            self.measured(point for _, point in record.points)
        elif self._engine.wants("log"):
            at, body = record.time or record.observed, record.body if isinstance(record.body, str) else ""
            ident = f"{at} {record.span_id.hex()} {body[:100]}"
            self._see("log", at, ident, of_log(record).get, partial(self._of_log, record, at, ident, body))

    def _see(self, kind: str, at: int, ident: str, get: Get, make_cause: Callable[[], Cause]) -> None:
        # A log record says itself when it was: nothing has happened later than now.
        changes = self._engine.observe(kind, min(at, self._now()), ident, get, make_cause)
        if changes:
            self._tell(changes)

    def _of_invocation(self, invocation: Invocation) -> Cause:
        return Cause.of_span(invocation.span, invocation, self._function(invocation))

    def _of_span(self, span: Span) -> Cause:
        return self._at_home(Cause.of_span(span, None, self._target.function or self._resource.get("faas.name") or ""))

    def _of_log(self, record: LogRecord, at: int, ident: str, body: str) -> Cause:
        trace_id, span_id = record.trace_id.hex(), record.span_id.hex()
        cause = Cause(at, ident, trace_id, span_id, record.flags & 1, record.request_id, self._target.function)
        return self._at_home(cause._replace(message=body[:_LOGS_TEXT]))

    # What is sent.

    def deliver(self, deadline: float, *, last: bool = False, gone: bool = False) -> None:
        """Send what is pending before `deadline` (monotonic); `last`: do not heed the pause after a failure.

        `gone`: nobody will watch any more, so what is open is let go of, and no summary waits any longer.
        """
        if self._remote is not None and self._remote.due and not last:
            self._fetch(self._remote, deadline)
        now = self._now()
        self._tell(self._engine.end(now) if gone else self._engine.tick(now))
        if self._summaries is not None and last:
            self._summaries.release()
        moved = self._outbox.deliver(deadline, last=last)
        moved = self._later.deliver(deadline, last=last) or moved
        if moved or last or self._unsaved:
            self._save()

    def _tell(self, changes: list[Change]) -> None:
        if not changes:
            return
        for change in changes:
            self._outbox.put(make_entry(change, self._target))
        self._save()

    def _function(self, invocation: Invocation) -> str:
        return self._target.function or invocation.attribute("faas.name") or "function"

    def _at_home(self, cause: Cause) -> Cause:
        """Add whose it is, as the last invocation shows it."""
        if self._last is None:
            return cause
        return cause._replace(
            function=cause.function or self._function(self._last),
            arn=self._last.attribute("aws.lambda.invoked_arn"),
            version=self._last.attribute("faas.version"),
        )

    # The rules.

    def _read(self) -> list[Rule]:
        tables = dict(self._tables)
        if self._fetched and self._remote is not None:
            found = of_text(self._fetched, self._remote.reference)
            for line in found.complaints:
                self._counters.say(f"rules {line[:100]}", line)
            tables.update(found.rules)
        rules, mistakes = read_rules(tables, BUILTIN)
        for mistake in mistakes:
            self._counters.say(f"rule {mistake}", f"{mistake}; this rule is off")
        return rules

    def _fetch(self, remote: Fetched, deadline: float) -> None:
        try:
            text = remote.fetch(min(deadline, self._clock() + _FETCH_TIMEOUT))
        except Exception as error:  # whatever it is, the rules that are known go on
            self._counters.say("rules fetched", f"the rules of HOPTRACE_RULES could not be fetched: {error}")
            return
        if text != self._fetched:
            self._fetched = text
            before, now = self._engine, self._now()
            self._engine = Engine.from_json(before.to_json(), self._read(), HERE, now)
            self._tell(before.without(self._engine, now))
            self._origin = None
            self._unsaved = True

    # What the next generation has to know.

    def _load(self) -> dict[str, Any]:
        try:
            with open(self._path, "rb") as file:
                value = json.loads(file.read())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError):
            self._counters.add("errors", "alerts.json")
            return {}
        return value if isinstance(value, dict) else {}

    def _save(self) -> None:
        self._unsaved = False
        data = json.dumps(
            {
                "engine": self._engine.to_json(),
                "pending": self._outbox.entries,
                "summaries": self._later.entries,
                "rules": self._fetched,
            }
        ).encode()
        beside = f"{self._path}.new"
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(data)
            os.replace(beside, self._path)
        except OSError as error:
            self._counters.failed("alerts.json", error)
