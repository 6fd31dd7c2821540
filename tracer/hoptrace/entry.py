"""Ties a process together: its outbox, its bell, its patches, and the handler that they are for.

Every way in (the layer's `.pth`, the decorator) leads to `session()`, once.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import sys
import time

from . import bootstrap, encode
from .environment import SNAP_START
from .guard import guard
from .handler import Invocations
from .send import Bell, Outbox, use
from .settings import OUR_HANDLER, Settings, collector_here, in_lambda, is_the_handler, named_handler, settings
from .spans import Span, on_end, on_start
from .spans.exceptions import exception_attributes, told
from .spans.span import observer

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from .direct import Direct

    _Handler = TypeVar("_Handler", bound=Callable[..., Any])


_MARK = "__hoptrace__"


class Session:
    """Everything that one process has one of."""

    def __init__(self, knobs: Settings) -> None:
        self.pid = os.getpid()
        self.settings = knobs
        os.register_at_fork(after_in_child=self._forked)
        self.in_lambda = in_lambda()
        self.direct = None if self.in_lambda and collector_here() else _direct(knobs, self.in_lambda)
        self.outbox = _outbox(knobs, self.direct, self.in_lambda)
        self.bell = Bell(knobs.run_dir) if self.in_lambda and self.direct is None else None
        self.rings_at_next = False
        self.started = process_start()
        self.invocations = Invocations(
            knobs, self.outbox, started=self.started, in_lambda=self.in_lambda, over=self._over
        )
        self.owes_ring = False
        self.request: Any = None

    def _forked(self) -> None:
        """A forked child is not the function: while it lived, nobody would notice that the function has died."""
        if self.bell is not None:
            self.bell.close()
            self.bell = None

    def emit(self, span: Span) -> None:
        """Where every ended span goes."""
        with guard("entry.emit"):
            self.outbox.write(encode.span_record(span))

    def opened(self, span: Span) -> None:
        """Where every span goes that begins in an invocation, for who closes it should the invocation not come back."""
        with guard("entry.opened"):
            self.outbox.note(encode.start_record(span))

    def _over(self) -> None:
        self.owes_ring = True
        if not self.rings_at_next:
            self.ring()

    def ring(self) -> None:
        """Wake the collector, or do its work where there is none, once for each invocation that has come back."""
        self.invocations.settle()
        if not self.owes_ring:
            if self.request is None:
                self.invocations.rests()
            return
        self.owes_ring = False
        watching = observer()
        if watching is not None:
            with guard("entry.observer"):
                watching.over(self.invocations.deadline)
        if self.bell is not None:
            self.bell.ring()
        if self.direct is not None:
            deadline = getattr(self.request, "deadline_time_in_ms", None) if self.rings_at_next else None
            with guard("entry.direct"):
                self.direct.over(int(deadline or self.invocations.deadline))

    def error_posted(self, request_id: Any = None, error: Any = None) -> None:
        """The runtime client is about to report an error of an invocation."""
        request = self.request
        if request is None or request.invoke_id != request_id or not isinstance(error, str):
            return
        self.invocations.refused(
            request_id,
            str(request.invoked_function_arn or ""),
            int(request.deadline_time_in_ms or 0),
            _member(error, "errorType"),
            _member(error, "errorMessage"),
        )

    def exiting(self) -> None:
        """The interpreter ends: what was returned and has not been taken by now was refused, or never sent."""
        if os.getpid() == self.pid:
            self.invocations.unposted(getattr(sys, "last_value", None))

    def close(self) -> None:
        """Give the descriptors back; for tests."""
        if self.direct is not None:
            self.direct.close()
        self.outbox.close()
        if self.bell is not None:
            self.bell.close()

    def load_failed(self, error: BaseException) -> None:
        """The handler could not be loaded: Lambda will reset this environment, so nothing but the record tells why."""
        with guard("entry.load_failed"):
            found = exception_attributes(error, self.settings.attribute_length_limit)
            kind = str(getattr(error, "exception_type", "") or found["exception.type"])
            message = told(
                "", str(getattr(error, "msg", "") or found["exception.message"]), self.settings.attribute_length_limit
            )
            self.outbox.follow()
            self.outbox.write(
                encode.init_error_record(
                    self.settings.resource,
                    kind,
                    message,
                    str(found["exception.stacktrace"]),
                    self.started,
                    time.time_ns(),
                )
            )


def _direct(knobs: Settings, inside: bool) -> Direct:
    from .direct import Direct  # where there is a collector, nobody pays for it

    return Direct(knobs, in_lambda=inside)


def _outbox(knobs: Settings, direct: Direct | None, inside: bool) -> Outbox:
    if direct is not None and direct.spool is not None:
        return direct.spool
    # Without collector and endpoint nobody reads them: a few stay, for whoever wants to look.
    most = knobs.max_file_bytes if direct is None or not inside else min(1 << 20, knobs.max_file_bytes)
    return Outbox(knobs.run_dir, most, knobs.max_record_bytes)


_session: Session | None = None


def session() -> Session | None:
    """This process's session, made the first time; `None` when switched off.

    After a fork (Managed Instances run a worker for each concurrent request) the child makes its own.
    """
    global _session
    if _session is not None and _session.pid == os.getpid():
        return _session
    knobs = settings()
    if knobs.disabled:
        return None
    made = None
    with guard("entry.session"):
        made = Session(knobs)
        _session = made
        on_end(made.emit)
        on_start(made.opened if made.in_lambda else None)
        if made.in_lambda:
            atexit.register(made.exiting)
        use(made.outbox)
    if knobs.redact:
        with guard("entry.capture"):
            from . import capture

            capture.install()
    with guard("entry.clients"):
        from . import clients

        clients.install()
    with guard("entry.runtime"):
        if made is not None:
            _watch_runtime()
    if made is not None and made.in_lambda and knobs.initialization_type == SNAP_START:
        with guard("entry.snapshot"):
            from . import snapshot

            snapshot.prepare(made)
    return made


def replace_session(replacement: Session | None) -> Session | None:
    """Put another session in place, or with `None` have one made anew; the one before is returned. For tests."""
    global _session
    before, _session = _session, replacement
    return before


def traced(handler: _Handler) -> _Handler:
    """The handler with every call of it recorded; itself when switched off, traced already, or not callable."""
    found = session()
    if found is None or not callable(handler) or getattr(handler, _MARK, None) is handler:
        return handler
    invocations = found.invocations
    invocations.ready()
    begin, succeed, fail = invocations.begin, invocations.succeed, invocations.fail
    wrapped: Any = bootstrap.calling(handler, begin, succeed, fail, invocations.answer)
    if not isinstance(handler, type) and not hasattr(handler, "__code__") and not hasattr(handler, "__func__"):
        wrapped = bootstrap.Traced(handler, wrapped)
        object.__setattr__(wrapped, _MARK, wrapped)
        return wrapped  # type: ignore[no-any-return]
    with guard("entry.wraps"):
        functools.update_wrapper(wrapped, handler)
    setattr(wrapped, _MARK, wrapped)  # itself: `functools.wraps` copies attributes to whatever wraps it
    return wrapped  # type: ignore[no-any-return]


def load_traced(load: Callable[[str], Any]) -> Callable[[str], Any]:
    """The runtime's own loader, whose handler comes back traced and whose errors are noted and pass."""

    def failed(error: BaseException) -> None:
        found = session()
        if found is not None:
            found.load_failed(error)

    def loaded(handler: Any) -> Any:
        with guard("entry.loaded"):
            handler = traced(handler)
        return handler

    return bootstrap.loading(load, _users_handler, loaded, failed)


def _users_handler(asked: str) -> str:
    """The handler that is meant; where ours is asked for and none is named, the runtime's own kind of error."""
    name = named_handler(asked)
    if not name:
        fault: Any = sys.modules["awslambdaric.bootstrap"].FaultException
        raise fault(
            fault.HANDLER_NOT_FOUND,
            f"the handler is {asked}, but HOPTRACE_HANDLER does not name yours: "
            "set it to what the handler was, such as app.handler",
        )
    return name


def _load_as_the_handler() -> Any:
    """What `hoptrace.entry.handler` is: the handler that `HOPTRACE_HANDLER` names, loaded by the runtime's own loader.

    While this module is imported, not when the attribute is asked for: the runtime client would take an
    `AttributeError` of the user's module for a missing handler.
    """
    runtime: Any = sys.modules["awslambdaric.bootstrap"]
    load = runtime._get_handler
    if settings().disabled:
        _hide_our_frames(runtime)
        return load(_users_handler(OUR_HANDLER))
    session()
    return load_traced(load)(OUR_HANDLER)


def _watch_runtime() -> None:
    """Ring when the runtime client asks for the next event, which is after the response is out.

    The collector's start then never competes with the response. Also keeps our one frame out of reported tracebacks
    where the runtime client's own trimming does not reach: it cuts leading frames only.
    """
    runtime = sys.modules.get("awslambdaric.bootstrap")
    clients = sys.modules.get("awslambdaric.lambda_runtime_client")
    if runtime is None or clients is None:
        return
    _hide_our_frames(runtime)
    found = _session
    for name in ("LambdaRuntimeClient", "LambdaMultiConcurrentRuntimeClient"):
        kind = getattr(clients, name, None)
        wait = getattr(kind, "wait_next_invocation", None)
        if kind is None or wait is None:
            continue
        if not getattr(wait, _MARK, False):
            kind.wait_next_invocation = _ringing(wait)
        if found is not None:
            found.rings_at_next = True
            found.invocations.holds_ends = True
        if name == "LambdaMultiConcurrentRuntimeClient":  # which goes on where the other one lets the process end
            handle = getattr(kind, "handle_exception", None)
            if handle is not None and not getattr(handle, _MARK, False):
                kind.handle_exception = _noting_failures(handle)
        post = getattr(kind, "post_invocation_error", None)
        if post is not None and not getattr(post, _MARK, False):
            kind.post_invocation_error = _noting_errors(post)


def _ringing(wait: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(wait)
    def wait_next_invocation(*arguments: Any, **named: Any) -> Any:
        found = _session
        if found is not None:
            with guard("entry.ring"):
                found.ring()
        event = wait(*arguments, **named)
        if found is not None:
            # Owed for every event: one that cannot be parsed never reaches the handler.
            found.owes_ring = True
            found.request = event
        return event

    setattr(wait_next_invocation, _MARK, True)
    return wait_next_invocation


def _noting_errors(post: Callable[..., Any]) -> Callable[..., Any]:
    """The runtime client's report of an error; one whose handler was never called is recorded here."""

    @functools.wraps(post)
    def post_invocation_error(*arguments: Any, **named: Any) -> Any:
        found = _session
        if found is not None:
            with guard("entry.error"):
                found.error_posted(*arguments[1:3])
        return post(*arguments, **named)

    setattr(post_invocation_error, _MARK, True)
    return post_invocation_error


def _noting_failures(handle: Callable[..., Any]) -> Callable[..., Any]:
    """The runtime client's shrug at an error of its own; one of posting a result is the invocation's error."""

    @functools.wraps(handle)
    def handle_exception(*arguments: Any, **named: Any) -> Any:
        found = _session
        error = arguments[1] if len(arguments) > 1 else named.get("exc")
        if found is not None and isinstance(error, BaseException):
            found.invocations.unposted(error)
        return handle(*arguments, **named)

    setattr(handle_exception, _MARK, True)
    return handle_exception


def _hide_our_frames(runtime: Any) -> None:
    extract = getattr(runtime, "extract_traceback", None)
    if extract is not None and not getattr(extract, _MARK, False):
        runtime.extract_traceback = _without_our_frames(extract)


def _without_our_frames(extract: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    ours = bootstrap.__file__

    @functools.wraps(extract)
    def extract_traceback(tb: Any) -> list[Any]:
        frames = extract(tb)
        # Loaded under our own name: what leads to this module is not the user's either.
        last = max((number for number, frame in enumerate(frames) if frame[0] == __file__), default=-1)
        frames = frames[last + 1 :] or frames
        kept = [frame for frame in frames if frame[0] != ours]
        return kept or frames

    setattr(extract_traceback, _MARK, True)
    return extract_traceback


def _member(text: str, name: str) -> str:
    value = json.loads(text).get(name)
    return value if isinstance(value, str) else ""


def process_start() -> int:
    """When this process started, nanoseconds since the epoch (proc(5), `starttime`, to 10 ms)."""
    now = time.time_ns()
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        since_boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return now - max(0, since_boot - ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return now - time.process_time_ns()


if (
    "awslambdaric.bootstrap" in sys.modules
    and not getattr(sys.modules["awslambdaric.bootstrap"], "__hoptrace_attached__", False)
    and is_the_handler(sys.argv)
):
    handler = _load_as_the_handler()
