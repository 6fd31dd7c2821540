"""The user's own reader of contexts (`HOPTRACE_EXTRACTOR`), for events that nobody else can know.

It is called once for an invocation, with the handler's own arguments, and answers with the producer's headers as a
mapping, or None. What it says wins over what was read here. Its module is imported for the first invocation, so after
the user's own; what goes wrong is said in one line, and the invocation goes on as without it. An exit or an interrupt
that it raises passes, as from any code of the user's.
"""

from hoptrace.carriers.headers import extract_headers, extract_headers_root
from hoptrace.guard import from_a_signal_handler, say
from hoptrace.settings import settings
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_found: "dict[str, Callable[[Any, Any], object] | None]" = {}
_said: set[str] = set()


def add_producer(arrival: Arrival, event: object, context: object) -> None:
    """Make what the user's function names the producer of an arrival that has one record, or none."""
    where = settings().extractor
    try:
        if where not in _found:
            _found[where] = None
            _found[where] = _load(where)
        extractor = _found[where]
        if extractor is None:
            return
    except Exception as error:
        _complain(where, error, "cannot be loaded", "name a function of yours as module.function")
        return
    try:
        answer = extractor(event, context)
        headers = None if answer is None else Shape(_headers(answer))
    except Exception as error:
        _complain(where, error, "failed", "have it return the producer's headers as a mapping, or None")
        return
    if headers is not None:
        _add(arrival, headers)


def _load(where: str) -> "Callable[[Any, Any], object]":
    from importlib import import_module

    module, _, path = where.partition(":") if ":" in where else where.rpartition(".")
    if not module:
        raise ValueError("no module in it")
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{type(found).__name__} is not callable")
    return found  # type: ignore[no-any-return]


def _headers(answer: "Any") -> dict[str, str]:
    from collections.abc import Mapping

    if not isinstance(answer, Mapping):
        raise TypeError(f"it returned {type(answer).__name__}")
    texts: Mapping[Any, Any] = answer
    return {_text(name).lower(): _text(value) for name, value in texts.items()}


def _text(value: object) -> str:
    """Headers come as texts, as bytes, and as several values of one name."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _add(arrival: Arrival, headers: Shape) -> None:
    if not arrival.records:
        arrival.records.append(Record())
    record = arrival.records[0]
    producer = extract_headers(headers)
    if producer is not None:
        record.context, record.carrier = producer, "extractor"
    elif record.context is None:
        record.root = extract_headers_root(headers) or record.root


def _complain(where: str, error: Exception, what: str, advice: str) -> None:
    """Say it once in a process."""
    if from_a_signal_handler(error.__traceback__):
        raise error  # the user's own alarm, which rang while this ran
    if what not in _said:
        _said.add(what)
        say(
            f"HOPTRACE_EXTRACTOR={where} {what} ({type(error).__name__}: {error}); {advice}; events are read without it"
        )
