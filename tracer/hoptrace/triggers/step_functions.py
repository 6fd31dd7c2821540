"""Step Functions: a task of a state machine, which was given the context object or what started the execution.

Recognised by: objects `Execution` and `StateMachine`, where `Execution.Id` is an execution's ARN, at the top or under
    whatever key the author chose, or in an array's first ten members; without, a reserved key that says `via` `states`.
Context: the reserved key in the event, then in any object at its top, then what `Map.Item.Value` wraps, then what
    `Execution.Input` wraps. Without any, all functions of the execution are of one trace, whose id is derived from its
    ARN.
Hops: those of what started the execution, then the state machine from `Execution.StartTime` and the state from
    `State.EnteredTime`; the state alone where the producer is who ended an earlier task. Without a context object,
    Step Functions from `_hoptrace.sent`.
Pointers: the execution's ARN, and that of the execution that started it.
"""

from hoptrace.carriers.reserved import RESERVED_KEY, SENT, VIA, extract_reserved
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext
from hoptrace.triggers import MEMBERS, is_context_object
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_iso, from_ms, last_of_arn
from hoptrace.triggers.envelopes import UNREAD, Opener, take, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes

POINTER = "aws.states"
_SYSTEM = "aws.step_functions"
_MOST_BRANCHES = 100
# What a task that starts another execution puts into its input, so that the console can link the two.
_STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"


def read(event: Shape, name: str, opener: Opener | None = None) -> Arrival:
    """Read the context object; the task's own input is whatever the author made it."""
    opener = opener or Opener()
    # After a Parallel state, what its branches came to; it is one thing that arrives all the same.
    places = [event] if event.is_object() else event.first(_MOST_BRANCHES)
    context = _context_object(places)
    arn = context.text("Execution", "Id")
    about = _about(context)
    found = Record(name=f"process {context.text('State', 'Name')}".rstrip(), attributes=dict(about))
    hops: list[Hop | None] = [*take(found, _started_by(context, opener)), *_hops(context, about)]
    if opener.refused():
        found.attributes[UNREAD] = True
    started_by = found.context
    _passed_on(places, found)
    if found.context is not started_by and context.has("Execution", "Input") and _differ(found.context, started_by):
        # It came in on the way, with the end of a task: what was before that is not what followed it.
        hops = hops[-1:]
    if arn:
        if found.context is None and not found.links and not found.root:
            from hoptrace.pointers import derive

            found.root = derive((POINTER, arn)).trace_id
        found.pointers.append((POINTER, arn))
    parent = context.text("Execution", "Input", _STARTED_BY)
    if parent:
        found.pointers.append((POINTER, parent))
    found.hops = chain(hops if arn else [_hop_of_key(places)])
    return Arrival(name, attributes=dict(found.attributes), records=[found])


def _context_object(places: "list[Shape]") -> Shape:
    return next((part for part in _parts(places) if is_context_object(part)), Shape(None))


def _passed_on(places: "list[Shape]", found: Record) -> None:
    """Look for the reserved key in what the states before handed on, which is nearer than what started it all."""
    producers = []
    for place in places:
        for candidate in _parts([place]):
            producer = extract_reserved(candidate) if candidate.has(RESERVED_KEY) else None
            if producer is not None:
                producers.append(producer)
                break
    if len({producer.trace_id for producer in producers}) == 1:
        found.context, found.carrier, found.links = producers[0], "traceparent", []
    elif producers:
        found.context, found.carrier = None, ""
        found.links = [(producer, {}) for producer in producers]


def _started_by(context: Shape, opener: Opener) -> Record | None:
    """What started the execution; of an array that a Map state goes through, the one that this task is for."""
    given = context.get("Execution", "Input")
    if given.text(RESERVED_KEY, VIA) == "states":
        return Record(context=extract_reserved(given), carrier="traceparent")
    item = within(context.get("Map", "Item", "Value"), opener)
    if item is not None and item.context is not None:
        return item
    return within(given, opener)


def _differ(one: SpanContext | None, other: SpanContext | None) -> bool:
    return one is None or other is None or one.span_id != other.span_id


def _hop_of_key(places: "list[Shape]") -> Hop | None:
    """Without a context object all that is known is when the execution was asked for."""
    for place in _parts(places):
        start = from_ms(place.number(RESERVED_KEY, SENT))
        if start is not None:
            return Hop("Step Functions", _SYSTEM, start)
    return None


def _parts(places: "list[Shape]") -> "list[Shape]":
    """Each place, followed by what stands one level down in it."""
    return [part for place in places for part in (place, *place.first(MEMBERS))]


def _hops(context: Shape, about: "Attributes") -> "list[Hop | None]":
    """The execution until this state, and the state until now, retries and all."""
    machine = _machine(context)
    state = context.text("State", "Name")
    return [
        _since(f"Step Functions {machine}".rstrip(), context.text("Execution", "StartTime"), about),
        _since(f"{machine} {state}".strip(), context.text("State", "EnteredTime"), about),
    ]


def _since(name: str, time: str, about: "Attributes") -> Hop | None:
    start = from_iso(time)
    return None if start is None else Hop(name, _SYSTEM, start, None, dict(about))


def _machine(context: Shape) -> str:
    return context.text("StateMachine", "Name") or last_of_arn(context.text("StateMachine", "Id"))


def _about(context: Shape) -> "Attributes":
    """Say which execution, state and attempt; never the task's token, which is a key to the execution."""
    found: Attributes = {
        key: value
        for key, value in (
            ("aws.step_functions.state_machine.arn", context.text("StateMachine", "Id")),
            ("hoptrace.step_functions.execution_arn", context.text("Execution", "Id")),
            ("hoptrace.step_functions.state", context.text("State", "Name")),
        )
        if value
    }
    for key, number in (
        ("hoptrace.step_functions.retry_count", context.number("State", "RetryCount")),
        ("hoptrace.step_functions.redrive_count", context.number("Execution", "RedriveCount")),
        ("hoptrace.step_functions.map_index", context.number("Map", "Item", "Index")),
    ):
        if number is not None:
            found[key] = int(number)
    return found
