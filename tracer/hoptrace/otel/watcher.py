"""The one who watches every span of this process on OpenTelemetry's behalf, from when there is somebody to tell.

Processors that the user added to our provider are shown each span as the SDK has it; providers of theirs, of metrics
and logs too, are flushed when the response of an invocation is out, because what lies in a queue of theirs would stay
there while the environment is frozen.
"""

from collections.abc import Callable
from threading import Thread
from time import time_ns
from typing import Any

from ..guard import guard
from ..spans import Span
from ..spans.span import Observer, observe

_PATIENCE_MS = 1_000
_MARGIN_MS = 200
"""Of the invocation's time that is left alone."""


class Watcher(Observer):
    """Tells processors, and flushes."""

    def __init__(self) -> None:
        self._processors: tuple[Any, ...] = ()
        self._flushes: dict[int, Callable[[], Callable[[int], Any] | None]] = {}
        self._collects: dict[int, Callable[[], None]] = {}
        self._renews: dict[int, Callable[[], None]] = {}
        self._flushing: Thread | None = None

    def add(self, processor: Any) -> None:
        """Show every span to this processor from now on."""
        self._processors = (*self._processors, processor)

    def flush_by(self, owner: object, flush: Callable[[], Callable[[int], Any] | None]) -> None:
        """After each invocation call what `flush()` gives, if anything, with milliseconds; once for this owner."""
        self._flushes[id(owner)] = flush

    def collect_by(self, owner: object, collect: Callable[[], None]) -> None:
        """Call `collect()`, which waits for nobody, after each invocation; once for this owner."""
        self._collects[id(owner)] = collect

    def renew_by(self, owner: object, renew: Callable[[], None]) -> None:
        """Call `renew()` when this process runs on from a snapshot; once for this owner."""
        self._renews[id(owner)] = renew

    def started(self, span: Span) -> None:
        """A span has begun."""
        if self._processors:
            from . import sdk
            from .span import shown

            for processor in self._processors:
                with guard("otel.on_start"):
                    processor.on_start(shown(span), parent_context=sdk.current_context())

    def ended(self, span: Span) -> None:
        """A span has ended."""
        if not self._processors:
            return
        with guard("otel.readable"):
            from . import sdk
            from .span import shown

            readable = sdk.readable(span)
            for processor in self._processors:
                ending = getattr(processor, "_on_ending", None)  # of SDKs since 1.34
                if ending is not None:
                    with guard("otel.on_ending"):
                        ending(shown(span))
            for processor in self._processors:
                with guard("otel.on_end"):
                    processor.on_end(readable)

    def over(self, deadline: int) -> None:
        """The response is out: nothing waits for what is flushed now but the next event.

        In a thread, because not every exporter keeps to the time that it is given; one that has not come back goes on
        when the environment does, and is not asked a second time meanwhile.
        """
        for collect in self._collects.values():
            with guard("otel.collect"):
                collect()
        if self._flushing is not None and self._flushing.is_alive():
            return
        flushes = [processor.force_flush for processor in self._processors]
        flushes += [flush for find in self._flushes.values() if (flush := find()) is not None]
        if not flushes:
            return
        left = _PATIENCE_MS if not deadline else min(_PATIENCE_MS, deadline - time_ns() // 1_000_000 - _MARGIN_MS)
        if left <= 0:
            return
        self._flushing = Thread(target=_flush, args=(flushes, left), name="hoptrace-flush", daemon=True)
        self._flushing.start()
        self._flushing.join(left / 1000)

    def restored(self) -> None:
        """This process runs on from a snapshot."""
        for renew in self._renews.values():
            with guard("otel.renew"):
                renew()

    def force_flush(self, milliseconds: int) -> bool:
        """Have the processors send what they hold; whether all did."""
        return False not in [bool(processor.force_flush(milliseconds)) for processor in self._processors]

    def shutdown(self) -> None:
        """End the processors."""
        processors, self._processors = self._processors, ()
        for processor in processors:
            processor.shutdown()


def _flush(flushes: list[Callable[[int], Any]], milliseconds: int) -> None:
    for flush in flushes:
        with guard("otel.flush"):
            flush(milliseconds)


_watcher: Watcher | None = None


def watcher() -> Watcher:
    """This process's, who watches from the first time that anybody asks."""
    global _watcher
    if _watcher is None:
        _watcher = Watcher()
        observe(_watcher)
    return _watcher


def leave() -> None:
    """Watch no longer."""
    global _watcher
    if _watcher is not None:
        _watcher = None
        observe(None)
