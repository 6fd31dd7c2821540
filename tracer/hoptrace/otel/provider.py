"""The API's default provider: the tracers that code gets which never sets a provider of its own.

`opentelemetry.trace` hands out a proxy until somebody calls `set_tracer_provider`. Ours is such a proxy, so whoever
asks whether a provider was set is told the truth, and one that is set later wins: tracers that were handed out before
go over to it at their next span.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace

from ..guard import guard
from ..spans import Link, current_span, start_span
from . import runtime
from . import span as views
from .ids import to_ours
from .limits import limits
from .span import Recorded
from .values import attributes_of, fit, items_of, moment, named
from .watcher import watcher

# Makes `start_as_current_span` a decorator of coroutines as well, in versions that have it.
_managed: Any = getattr(trace, "_agnosticcontextmanager", contextmanager)

_patched: "tuple[Any, Any, Provider, Any] | None" = None  # module, its own proxy provider, ours, the proxy's property
_watch: Any = None


class Tracer(trace.Tracer):
    """Makes spans that are records of ours, until the user sets a provider."""

    def __init__(self, provider: "Provider | None", name: str, version: str | None, *more: Any) -> None:
        self._provider = provider
        self._wanted = (name, version, *more)
        self._theirs: Any = None
        self._scope: tuple[str, ...] = (str(name or ""), str(version or ""))
        if more and more[0]:
            self._scope = (*self._scope, str(more[0]))

    def start_span(
        self,
        name: str,
        context: Any = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Begin a span."""
        other = self._other()
        if other is not None:
            made: trace.Span = other.start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
            return made
        parent, theirs = _parent(context)
        record = start_span(
            named(name),
            getattr(kind, "value", 0) + 1,
            {key: fit(value) for key, value in items_of(attributes)},
            parent=parent,
            links=_links(links),
            start=moment(start_time),
            root=parent is None,
            scope=self._scope,
        )
        view = views.shown(record)
        if type(view) is Recorded:
            view.made(theirs, note=record_exception, fail=set_status_on_exception)
        return view

    @_managed  # type: ignore[untyped-decorator]
    def start_as_current_span(
        self,
        name: str,
        context: Any = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        """Begin a span and make it current for a `with` block, or for each call of a function."""
        span = self.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        with trace.use_span(
            span,
            end_on_exit=end_on_exit,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        ) as span:
            yield span

    def _other(self) -> Any:
        """The tracer of the provider that the user has set; the API's idle one after `unpatch`."""
        if self._theirs is None:
            provider = trace._TRACER_PROVIDER if self._provider is None or self._provider.proxies else None
            if provider is not None and provider is not self._provider:
                self._theirs = provider.get_tracer(*self._wanted)
            elif self._provider is not None and not self._provider.on:
                return trace.NoOpTracer()
        return self._theirs


class Provider(trace.ProxyTracerProvider):
    """Stands where the API keeps its proxy.

    Args:
        proxies: whether a provider that the user sets takes over.
    """

    def __init__(self, proxies: bool = True) -> None:
        self.proxies = proxies
        self.on = True
        self._added = False

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        *more: Any,
        **named: Any,
    ) -> trace.Tracer:
        """A tracer by its scope's name and version."""
        if self.proxies and trace._TRACER_PROVIDER is not None:
            return trace._TRACER_PROVIDER.get_tracer(
                instrumenting_module_name, instrumenting_library_version, *more, **named
            )
        for name in ("schema_url", "attributes")[len(more) :]:
            if name in named:
                more = (*more, named[name])
        return Tracer(self, instrumenting_module_name, instrumenting_library_version, *more)

    @property
    def resource(self) -> Any:
        """Of this process, as the SDK has it."""
        from . import sdk

        return sdk.resource()

    def add_span_processor(self, span_processor: Any) -> None:
        """Show every span, ours and those made here, to a processor of the SDK's."""
        self._added = True
        watcher().add(span_processor)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have all that has ended sent by the processors that were added."""
        return not self._added or watcher().force_flush(timeout_millis)

    def shutdown(self) -> None:
        """End the processors that were added; what is recorded goes to the collector as before."""
        if self._added:
            watcher().shutdown()


def _parent(context: Any) -> "tuple[Any, trace.SpanContext | None]":
    """Whose child a new span is: a record, the context of a stranger's span, or nobody's."""
    if context is None and (runtime.in_place() or not trace.get_current_span().get_span_context().is_valid):
        record = current_span()
        return record, None if record is None else views.shown(record).get_span_context()
    span = trace.get_current_span(context)
    theirs = span.get_span_context()
    if theirs is None or not theirs.is_valid:
        return None, None
    if type(span) is Recorded:
        return views.record_of(span), theirs
    around = current_span()
    if around is not None and around.api is span:
        return around, theirs
    return views.Foreign(span, around), theirs


def _links(links: "Sequence[trace.Link] | None") -> list[Link]:
    most = limits()
    found: list[Link] = []
    for link in links or ():
        if link is not None and link.context is not None and link.context.is_valid and len(found) < most.links:
            found.append(Link(to_ours(link.context), attributes_of(link.attributes, most.link_attributes, most.length)))
    return found


def patch(module: Any) -> None:
    """Stand behind the API's provider, and behind tracers that were handed out before we came."""
    global _patched
    if _patched is not None:
        return
    context = sys.modules.get("opentelemetry.context")
    if context is not None:
        runtime.patch(context)
    runtime.spans = views
    provider = Provider()
    idle = module.ProxyTracer._tracer
    _patched = (module, module._PROXY_TRACER_PROVIDER, provider, idle)
    module._PROXY_TRACER_PROVIDER = provider
    module.ProxyTracer._tracer = property(_real_tracer(provider, idle))
    with guard("otel.sdk"):
        _attend(module)


def unpatch() -> None:
    """Leave the API as it was."""
    global _patched
    runtime.spans = None
    if _patched is not None:
        module, before, provider, idle = _patched
        provider.on = False
        if module._PROXY_TRACER_PROVIDER is provider:
            module._PROXY_TRACER_PROVIDER = before
        module.ProxyTracer._tracer = idle
        _patched = None


def _real_tracer(provider: Provider, idle: Any) -> Any:
    def tracer(proxy: Any) -> Any:
        found = idle.fget(proxy)
        if found is not getattr(proxy, "_noop_tracer", None):
            return found
        ours = proxy.__dict__.get("_hoptrace")
        if ours is None:
            ours = Tracer(
                provider, proxy._instrumenting_module_name, proxy._instrumenting_library_version, proxy._schema_url
            )
            proxy._hoptrace = ours
        return ours

    return tracer


def _attend(module: Any) -> None:
    """Attach to the provider that the user sets, or has set."""
    from . import sdk

    sdk.attend(module)
