"""Durable functions: one execution, many invocations, each of which replays what is done and goes on from there.

Recognised by: `DurableExecutionArn` beside an object `InitialExecutionState`.
Context: what the execution's own input carries, which all of its invocations are given: the reserved key, or an event
    of any trigger, to any depth. Without any, all invocations are of one trace, whose id is derived from the
    execution's ARN. Who invoked the function with a client context is linked to.
Hops: for the first invocation those of the input; for each later one the operation that it was waiting for and that
    ended last (a wait, a callback, another function), from its `StartTimestamp` to its `EndTimestamp`.
Pointers: the execution's ARN.
"""

from hoptrace.pointers import derive
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_ms
from hoptrace.triggers.envelopes import UNREAD, Opener, take, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes

POINTER = "aws.lambda.durable_execution"
_SYSTEM = "aws.lambda"
_MOST_OPERATIONS = 1000
_MOST_UPDATED = 100
# What an execution is suspended for, by the words of its operations' types.
_WAITED_FOR = {"WAIT": "wait", "CALLBACK": "callback", "CHAINED_INVOKE": "invoke"}


def read(event: Shape, name: str) -> Arrival:
    """Read the execution's input, and what has ended since its last invocation."""
    opener = Opener()
    arn = event.text("DurableExecutionArn")
    operations = event.get("InitialExecutionState", "Operations").first(_MOST_OPERATIONS)
    # What was done before is handed over page by page, and an empty page is followed by more.
    first = len(operations) <= 1 and not event.text("InitialExecutionState", "NextMarker")
    about: Attributes = {"durable.execution.arn": arn, "durable.invocation.first": first}
    found = Record(attributes=dict(about))
    hops = take(found, within(_input(operations, opener), opener))
    if opener.refused():
        found.attributes[UNREAD] = True
    if not first:
        hops = [_awaited(event, operations)]
    if found.context is None:
        # Not Lambda's own trace header: nothing says that it is the same for all invocations.
        found.root = derive((POINTER, arn)).trace_id
    found.pointers.append((POINTER, arn))
    found.hops = chain(hops)
    return Arrival(name, attributes=dict(found.attributes), records=[found])


def _input(operations: "list[Shape]", opener: Opener) -> Shape:
    for operation in operations:
        if operation.text("Type") == "EXECUTION":
            return opener.open(operation.text("ExecutionDetails", "InputPayload"), sure=True)
    return Shape(None)


def _awaited(event: Shape, operations: "list[Shape]") -> Hop | None:
    """The operation whose end this invocation was made for."""
    updated = {each.text() for each in event.get("UpdatedOperationIds").first(_MOST_UPDATED)}
    last: Hop | None = None
    for operation in operations:
        kind = _WAITED_FOR.get(operation.text("Type"))
        if kind is None or operation.text("Id") not in updated:
            continue
        start, end = from_ms(operation.number("StartTimestamp")), from_ms(operation.number("EndTimestamp"))
        if start is None or end is None or (last is not None and (last.end_ns or 0) >= end):
            continue
        about: Attributes = {
            "durable.operation.id": operation.text("Id"),
            "durable.operation.type": operation.text("Type"),
        }
        if operation.text("Name"):
            about["durable.operation.name"] = operation.text("Name")
        last = Hop(f"{kind} {operation.text('Name')}".rstrip(), _SYSTEM, start, end, about)
    return last
