"""The API's default meters: what code measures that never sets a provider of its own.

Until somebody calls `set_meter_provider`, the API hands out proxies whose instruments have nothing behind them. We
stand behind the instruments, not in the proxies' place: a provider that is set later is put behind them by the API
itself, whenever the instrument was made.

What was measured is written when an invocation's response is out, so nothing waits in a frozen environment. Callbacks
of observable instruments are called then, in the thread that flushes, which is not waited for longer than it may take.
"""

import atexit
import functools
import itertools
import re
import sys
from collections.abc import Callable, Generator, Iterable
from math import isfinite
from typing import Any

from ..guard import guard, say
from ..send import append
from ..settings import settings
from . import flush
from .lines import metrics_lines
from .points import BOUNDS, COUNTER, GAUGE, HISTOGRAM, UP_DOWN, Store, Stream
from .watcher import watcher

_INTERNAL = "opentelemetry.metrics._internal"
_KINDS = {
    "_ProxyCounter": (COUNTER, False),
    "_ProxyUpDownCounter": (UP_DOWN, False),
    "_ProxyGauge": (GAUGE, False),
    "_ProxyHistogram": (HISTOGRAM, False),
    "_ProxyObservableCounter": (COUNTER, True),
    "_ProxyObservableUpDownCounter": (UP_DOWN, True),
    "_ProxyObservableGauge": (GAUGE, True),
}
_CREATORS = (
    "create_counter",
    "create_up_down_counter",
    "create_gauge",
    "create_histogram",
    "create_observable_counter",
    "create_observable_up_down_counter",
    "create_observable_gauge",
)
_NAME = re.compile(r"[a-zA-Z][-_./a-zA-Z0-9]{0,254}")
_UNIT = re.compile(r"[\x00-\x7f]{0,63}")
_MOST_BOUNDS = 1_000
_MOST_OBSERVATIONS = 20_000
_MOST_LINES = 8

_store: Store | None = None
_observers: dict[int, "Observer"] = {}
_originals: dict[str, Any] = {}
_said: set[str] = set()


class Instrument:
    """What stands behind a proxy: an instrument that is measured with."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def add(self, amount: Any, attributes: Any = None, *_: Any, **__: Any) -> None:
        """Take a measurement; `record` and `set` are other instruments' names for it."""
        with guard("otel.measure"):
            self._stream.measure(amount, attributes)

    record = set = add


class Observer:
    """What stands behind the proxy of an instrument that is asked."""

    __slots__ = ("_callbacks", "_stream")

    def __init__(self, stream: Stream, callbacks: Iterable[Any]) -> None:
        self._stream = stream
        self._callbacks: list[tuple[Any, bool]] = [(callback, True) for callback in callbacks]

    def observe(self, options: Any) -> None:
        """Call the callbacks; one that fails keeps what it has given until then."""
        room = _MOST_OBSERVATIONS
        for number, (callback, first) in enumerate(self._callbacks):
            self._callbacks[number] = (callback, False)
            with guard("otel.observe"):
                for observation in _asked(callback, options, first=first):
                    room -= 1
                    if room < 0:
                        return
                    self._stream.measure(observation.value, observation.attributes)


def _asked(callback: Any, options: Any, *, first: bool) -> Iterable[Any]:
    """What a callback answers, or a generator that has to be begun before it can be sent the first options."""
    if not isinstance(callback, Generator):
        return callback(options) or ()
    try:
        if first:
            next(callback)
        return callback.send(options) or ()
    except StopIteration:
        return ()


def patch(module: Any) -> None:
    """The API of metrics has been imported."""
    global _store
    flush.patch(module)
    internal = sys.modules.get(_INTERNAL)
    meter = getattr(internal, "_ProxyMeter", None)
    if _originals or internal is None or meter is None or settings().listed("OTEL_METRICS_EXPORTER") == ["none"]:
        return
    if _store is None:
        _store = Store()
        atexit.register(collect)  # what an invocation has counted that ends the process
    _store.on = True
    for name in _CREATORS:
        create = meter.__dict__.get(name)
        if create is not None:
            _originals[name] = create
            setattr(meter, name, _creating(create, internal))
    for each in list(internal._PROXY_METER_PROVIDER._meters):
        for instrument in list(each._instruments):
            _stand_behind(each, instrument, internal)
    watcher().collect_by(patch, collect)
    watcher().flush_by(patch, _observing)
    watcher().renew_by(patch, _store.renew)


def unpatch() -> None:
    """Leave the API as it was; what stands behind an instrument takes nothing any more."""
    meter = getattr(sys.modules.get(_INTERNAL), "_ProxyMeter", None)
    while _originals:
        name, create = _originals.popitem()
        setattr(meter, name, create)
    _observers.clear()
    if _store is not None:
        _store.on = False
        _store.clear()
    flush.unpatch()


def collect() -> None:
    """Write what was measured."""
    store = _store
    if store is None:
        return
    _write(store, observed=False)
    if _taken_over():
        store.clear()
        _observers.clear()


def _observing() -> Callable[[int], None] | None:
    return _observe if _observers and not _taken_over() else None


def _observe(milliseconds: int) -> None:
    """Ask the observable instruments, and write what they say."""
    store = _store
    options = getattr(sys.modules.get("opentelemetry.metrics"), "CallbackOptions", None)
    if store is None or options is None:
        return
    for observer in list(_observers.values()):
        observer.observe(options(timeout_millis=milliseconds))
    if not _taken_over():
        _write(store, observed=True)


def _write(store: Store, *, observed: bool) -> None:
    start, end = store.window(observed=observed)
    for line in metrics_lines(start, end, store.take(observed=observed)):
        append(line)


def _taken_over() -> bool:
    """Whether the user has set a provider."""
    return getattr(sys.modules.get(_INTERNAL), "_METER_PROVIDER", None) is not None


def _creating(create: Any, internal: Any) -> Any:
    @functools.wraps(create)
    def creating(meter: Any, *arguments: Any, **named: Any) -> Any:
        made = create(meter, *arguments, **named)
        with guard("otel.meters"):
            _stand_behind(meter, made, internal)
        return made

    return creating


def _stand_behind(meter: Any, proxy: Any, internal: Any) -> None:
    """Take what is measured with this instrument, until the API puts another behind it."""
    kind, observed = _KINDS.get(type(proxy).__name__, ("", False))
    if not kind or _store is None:
        return  # the instrument of a provider that the user has set
    name, unit, description = proxy._name, proxy._unit, proxy._description
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        _say_once(f"{name!r:.80} is no name for an instrument in OpenTelemetry; what it measures is not recorded")
        return
    unit = unit if isinstance(unit, str) and _UNIT.fullmatch(unit) else ""
    told = (name, unit, str(description or "")[:1024])
    bounds = _bounds(getattr(proxy, "_explicit_bucket_boundaries_advisory", None)) if kind == HISTOGRAM else ()
    scope = (str(meter._name or ""), str(meter._version or ""))
    stream = _store.stream(scope, kind, told, bounds, observed=observed)
    if stream is None:
        _say_once("there are more instruments of OpenTelemetry than are kept; what the others measure is not recorded")
        return
    behind: Any = Instrument(stream)
    if observed:
        behind = _observers.get(id(stream))
        if behind is None:
            behind = _observers[id(stream)] = Observer(stream, proxy._callbacks or ())
    with meter._lock:
        if proxy._real_instrument is None and internal._METER_PROVIDER is None:
            proxy._real_instrument = behind


def _say_once(line: str) -> None:
    if line not in _said and len(_said) < _MOST_LINES:
        _said.add(line)
        say(line)


def _bounds(advised: Any) -> Iterable[float]:
    """Those that the instrument's maker advises, if they are boundaries; else the specification's."""
    if advised is None:
        return BOUNDS
    with guard("otel.bounds"):
        found = tuple(advised)
        rising = all(a < b for a, b in itertools.pairwise(found))
        if rising and len(found) <= _MOST_BOUNDS and all(isfinite(bound) for bound in found):
            return tuple(float(bound) for bound in found)
    return BOUNDS
