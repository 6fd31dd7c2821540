"""One invocation: what woke it, its span, how it ended, and the records that say so.

`begin`, `succeed` and `fail` are called around the user's handler by `bootstrap` and never raise. What the collector
needs to close the invocation, should it never come back, is written before the user's code runs.
"""

from __future__ import annotations

import os
import threading
import time

from . import encode, triggers
from .environment import Environment
from .guard import guard
from .lineage import Lineage, lay_out, open_lineages
from .send import Outbox
from .settings import Settings, trace_header
from .spans import ERROR, Span, activate, current_span, restore, set_invocation
from .spans.context import parse_xray_root
from .spans.exceptions import exception_message, exception_type
from .spans.span import Course, observer

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .spans.span import Observer

AUTHORIZER = "authorizer"
"""The trigger, and the name by which its answers are switched on."""

_TOGETHER = 100
"""Hop spans that go into one write."""

_REMEMBERED = 512
"""Request ids of which it is known how often they came. A retry comes with the id of the invocation that failed, a
minute or two later; what came in the meantime of a busy environment must not push it out."""


class Invocation:
    """What is kept from begin to end."""

    __slots__ = ("arrival", "before", "cpu", "lineage", "ordinal", "span", "token")

    def __init__(self, arrival: triggers.Arrival, lineage: Lineage, ordinal: int, before: Span | None) -> None:
        self.before = before
        self.arrival = arrival
        self.lineage = lineage
        self.ordinal = ordinal
        self.span = lineage.invocation
        self.token: Any = None
        # The process's CPU time at the beginning, then what the invocation used of it; nanoseconds.
        self.cpu = 0


class Invocations:
    """The invocations of this process, one after the other (or side by side in threads outside Lambda).

    Args:
        started: when this process started, nanoseconds since the epoch.
        in_lambda: whether the runtime client runs here, which calls the handler for one event at a time.
        over: called when an invocation has come back, before its response is out.
        clock: nanoseconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        *,
        started: int,
        in_lambda: bool,
        over: Callable[[], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._environment = Environment(settings, started=started, in_lambda=in_lambda, clock=clock)
        self._in_lambda = in_lambda
        self._over = over
        self._clock = clock
        self._ordinal = 0
        self._lock = threading.Lock()
        self._active: dict[str, int] = {}
        self._begun_last = ""
        self._attempts: dict[str, int] = {}
        self.deadline = 0
        self._held: tuple[Invocation, int] | None = None
        self.holds_ends = False

    def ready(self) -> None:
        """The handler is loaded; what follows until the first event is not initialisation."""
        self._environment.ready()

    def rests(self) -> None:
        """The runtime client asks for its first event, or a snapshot is about to be taken."""
        with guard("handler.rests"):
            self._tell(self._environment.rests())

    def restored(self) -> None:
        """This process runs on from a snapshot."""
        self._environment.restored()
        self._attempts.clear()
        self._begun_last = ""

    # -- around the user's handler ---------------------------------------------------------------------------------

    def begin(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Invocation | None:
        """Record that an invocation begins; `None` when it is recorded already (the handler is wrapped twice)."""
        with guard("handler.begin"):
            event = arguments[0] if arguments else named.get("event")
            context = arguments[1] if len(arguments) > 1 else named.get("context")
            request_id = _text(context, "aws_request_id")
            with self._lock:
                if request_id and request_id in self._active:
                    return None
                self._ordinal += 1
                ordinal = self._ordinal
                self._active[request_id] = ordinal
            self._begun_last = request_id
            found = None
            try:
                found = self._begun(
                    event,
                    _arrived(event, context),
                    _text(context, "function_name"),
                    request_id,
                    _text(context, "invoked_function_arn"),
                    _text(context, "function_version"),
                    _deadline(context, self._clock()),
                    ordinal,
                )
            finally:
                if found is None:
                    self._forget(request_id)
            return found
        return None

    def succeed(self, invocation: Invocation | None, result: Any) -> None:
        """Record that the handler returned."""
        if invocation is None:
            return
        with guard("handler.succeed"):
            self._result(invocation, result)
        if self._settings.capture:
            with guard("handler.capture"):
                from .capture import record_response

                record_response(invocation.span, invocation.arrival.name, result)
        self._ended(invocation, "ok", hold=self.holds_ends)

    def fail(self, invocation: Invocation | None, error: BaseException) -> None:
        """Record that the handler raised."""
        if invocation is None:
            return
        with guard("handler.fail"):
            kind, message = exception_type(error), exception_message(error)
            lineage = invocation.lineage
            followed = lineage.batch is not None and lineage.batch.raised(error)
            failed = [] if followed else [span for _, span in lineage.records]
            for span in (invocation.span, *failed):
                span.set_attribute("error.type", kind)
                span.set_status(ERROR, message)
            invocation.span.record_exception(error)
        self._ended(invocation, "error")

    def answer(self, invocation: Invocation | None, result: Any) -> Any:
        """The result to return: the very object, but for an authorizer whose answer is to carry its span (opt-in)."""
        enabled = AUTHORIZER in self._settings.inject_enabled
        if enabled and invocation is not None and invocation.arrival.name == AUTHORIZER:
            with guard("handler.answer"):
                from .carriers.authorizer import inject_answer

                return inject_answer(result, invocation.span.context)
        return result

    def settle(self) -> None:
        """The runtime client asks for the next event: what the handler returned has been taken."""
        with guard("handler.settle"):
            held, self._held = self._held, None
            if held is not None:
                self._write_end(*held, "ok")

    def refused(self, request_id: str, arn: str, deadline: int, error_type: str, message: str) -> None:
        """Record an error that the runtime client reports and the handler did not raise.

        Its event could not be parsed, so the handler was never called, or its result could not be marshalled.

        Args:
            deadline: epoch milliseconds.
        """
        with guard("handler.refused"):
            if not request_id:
                return
            if self._held is not None and self._held[0].span.request_id == request_id:
                # The handler returned what Lambda does not take: a result that cannot be marshalled.
                self._not_taken(error_type, message)
                return
            if request_id == self._begun_last:
                return
            self._begun_last = request_id
            with self._lock:
                self._ordinal += 1
                ordinal = self._ordinal
            arrival = triggers.Arrival("other")
            version = self._settings.function_version
            invocation = self._begun(None, arrival, "", request_id, arn, version, deadline, ordinal)
            invocation.span.set_attribute("error.type", error_type)
            invocation.span.set_status(ERROR, message)
            self._ended(invocation, "error")

    def unposted(self, error: BaseException | None) -> None:
        """Record that the runtime client could not post what the handler returned.

        Args:
            error: what it failed with; `None` when the process ends and nothing says why.
        """
        if self._held is not None:
            with guard("handler.unposted"):
                from .posted import why

                self._not_taken(*why(error))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _not_taken(self, error_type: str, message: str) -> None:
        held, self._held = self._held, None
        if held is not None:
            span = held[0].span
            span.set_attribute("error.type", error_type)
            span.set_status(ERROR, message)
            self._write_end(*held, "error")

    def _begun(
        self,
        event: Any,
        arrival: triggers.Arrival,
        function: str,
        request_id: str,
        arn: str,
        version: str,
        deadline: int,
        ordinal: int,
    ) -> Invocation:
        now = self._clock()
        self.deadline = deadline
        function = self._settings.function_name or function or "handler"
        root = parse_xray_root(trace_header()) if self._settings.propagators else None
        current = current_span()
        name = arrival.span_name or function
        lineage = lay_out(arrival, name, now, request_id, root, self._settings, current)
        span = lineage.invocation
        span.course = course = Course()
        for _, record in lineage.records:
            record.course = course
        invocation = Invocation(arrival, lineage, ordinal, current)
        beginning = self._environment.first(span)
        span.set_attributes(arrival.attributes)
        span.set_attribute("faas.invocation_id", request_id)
        span.set_attribute("faas.trigger", arrival.faas_trigger)
        span.set_attribute("hoptrace.trigger", arrival.name)
        self._count_attempt(span)
        if self._settings.capture:
            with guard("handler.capture"):
                from .capture import record_event

                record_event(span, arrival.name, event)
        if self._in_lambda:
            span.set_attribute("faas.coldstart", self._environment.waited)
            span.set_attribute("aws.lambda.initialization_type", self._settings.initialization_type or "on-demand")
        if arn:
            span.set_attributes(_arn_attributes(arn, version))
        self._outbox.follow()
        lines = [encode.span_record(hop) for hop in lineage.hops]
        for first in range(0, len(lines), _TOGETHER):
            self._outbox.write(b"".join(lines[first : first + _TOGETHER]))
        self._write_begin(invocation, deadline)
        self._tell(beginning)
        if self._in_lambda:  # where a process runs one invocation at a time
            set_invocation(span)
        watching = observer()
        if watching is not None:
            self._show(watching, lineage)
        invocation.token = activate(span)
        self._open(lineage, event)
        if self._in_lambda:
            invocation.cpu = time.process_time_ns()
        return invocation

    @staticmethod
    def _show(watching: Observer, lineage: Lineage) -> None:
        for made in (lineage.invocation, *(record for _, record in lineage.records)):
            if made.recording:
                watching.started(made)
        for hop in lineage.hops:
            watching.ended(hop)

    def _open(self, lineage: Lineage, event: Any) -> None:
        """Let the records be followed, from whichever thread, until the invocation ends."""
        if not lineage.arrival.records:
            return
        lineage.event = event
        lineage.write = self._outbox.write
        open_lineages.append(lineage)
        if self._settings.watch_records:
            with guard("handler.watch"):
                from .watched import watch

                watch(event)

    def _write_begin(self, invocation: Invocation, deadline: int) -> None:
        """Without it the collector could not close the invocation, so it is made to fit."""
        resource, room = self._settings.resource, self._outbox.max_record
        records = [record for _, record in invocation.lineage.records if record.recording]
        for attempt in range(3):
            line = encode.begin_record(invocation.span, invocation.ordinal, os.getpid(), deadline, resource, records)
            if len(line) <= room or attempt == 2:
                self._outbox.write(line)
                return
            records = []
            if attempt:
                encode.shrink(invocation.span)

    def _write_end(self, invocation: Invocation, finished: int, outcome: str) -> None:
        """Without it the collector would take the invocation for lost, so it is made to fit."""
        span = invocation.span
        span.end(finished)
        line = encode.end_record(span, invocation.ordinal, outcome, invocation.cpu)
        if len(line) > self._outbox.max_record:
            encode.shrink(span)
            line = encode.end_record(span, invocation.ordinal, outcome, invocation.cpu)
        self._outbox.write(line)

    def _forget(self, request_id: str) -> None:
        with self._lock:
            self._active.pop(request_id, None)

    def _count_attempt(self, invocation: Span) -> None:
        """Say how often this process has had the request: Lambda retries an asynchronous event under its first id."""
        request_id = invocation.request_id
        if not request_id:
            return
        with self._lock:
            attempt = self._attempts.pop(request_id, 0) + 1
            self._attempts[request_id] = attempt
            if len(self._attempts) > _REMEMBERED:
                del self._attempts[next(iter(self._attempts))]
        if attempt > 1:
            invocation.set_attribute("hoptrace.invocation.attempt", attempt)

    def _tell(self, beginning: Span | None) -> None:
        if beginning is not None:
            self._outbox.write(encode.span_record(beginning))

    def _result(self, invocation: Invocation, result: Any) -> None:
        """What a result says: an HTTP status, or which records of a batch failed."""
        if type(result) is not dict and not isinstance(result, dict):
            return
        if invocation.arrival.is_http:
            status = _status_code(result.get("statusCode"))
            if status is not None:
                invocation.span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    invocation.span.set_attribute("error.type", str(status))
                    invocation.span.set_status(ERROR)
        if invocation.arrival.name == "durable":
            from .durable import outcome

            outcome(invocation.span, result)
        if invocation.arrival.partial_failures and result.get("batchItemFailures") not in (None, []):
            from .failures import mark  # most batches have none

            mark(invocation.lineage, result["batchItemFailures"])

    def _ended(self, invocation: Invocation, outcome: str, *, hold: bool = False) -> None:
        with guard("handler.end"):
            if invocation.cpu:
                invocation.cpu = time.process_time_ns() - invocation.cpu
            restore(invocation.token)
            set_invocation(invocation.before if self._in_lambda else None)
            self._forget(invocation.span.request_id)
            now = self._clock()
            lineage = invocation.lineage
            if lineage in open_lineages:
                open_lineages.remove(lineage)
            if lineage.batch is not None:
                lineage.batch.close(now)
            for _, span in lineage.records:
                span.end(now)
            course = invocation.span.course
            if course is not None:
                course.over = True
                invocation.span.set_attribute("hoptrace.policy.denied_count", course.denied or None)
            self._outbox.confess()
            if hold:
                self._held = (invocation, now)
            else:
                self._write_end(invocation, now, outcome)
        with guard("handler.over"):
            self._over()


def _arrived(event: Any, context: Any) -> triggers.Arrival:
    """What woke the function, and for whose sake: a function with tenant isolation is told its tenant."""
    arrival = triggers.identify(event, context)
    tenant = _text(context, "tenant_id")
    if tenant:
        arrival.attributes["aws.lambda.tenant_id"] = tenant
    return arrival


def _text(source: Any, name: str) -> str:
    try:
        value = getattr(source, name, None)
    except Exception:  # a stand-in for the context, in somebody's tests
        return ""
    return value if isinstance(value, str) else ""


def _deadline(context: Any, now: int) -> int:
    """Epoch milliseconds, 0 when the context does not know."""
    try:
        left = context.get_remaining_time_in_millis()
        return now // 1_000_000 + int(left) if isinstance(left, int | float) else 0
    except Exception:  # none, or a stand-in for the context
        return 0


def _arn_attributes(arn: str, version: str) -> dict[str, object]:
    """Account, alias and resource id of `arn:aws:lambda:region:account:function:name[:qualifier]`.

    By OpenTelemetry's "Instrumenting AWS Lambda": `cloud.resource_id` has the version, never the alias.
    """
    found: dict[str, object] = {"aws.lambda.invoked_arn": arn}
    parts = arn.split(":")
    if len(parts) < 7:
        return found
    found["cloud.account.id"] = parts[4]
    found["cloud.region"] = parts[3]
    resource = ":".join(parts[:7])
    qualifier = parts[7] if len(parts) > 7 else ""
    if version and version != "$LATEST":
        resource += ":" + version
    found["cloud.resource_id"] = resource
    if version:
        found["faas.version"] = version
    if qualifier and qualifier != version and qualifier != "$LATEST":
        found["aws.lambda.alias"] = qualifier
    return found


def _status_code(value: Any) -> int | None:
    """API Gateway takes `"200"` as well as `200`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int) and 100 <= value <= 599:
        return value
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        return int(value)
    return None
