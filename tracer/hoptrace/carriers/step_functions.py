"""Step Functions: X-Ray's header of an execution, and the reserved key in what it begins with or goes on with.

Calls: Step Functions StartExecution, StartSyncExecution, SendTaskSuccess.
Written: `traceHeader`, always; opt-in the member `_hoptrace` in `input`, or in the `output` of a task, where that is
    one JSON object, no other byte changed; its `via` says `states`.
Read: `_hoptrace` of the event or of an object at its top, then of `Execution.Input` in the context object.
Limits: 256 characters for `traceHeader`; 262,144 bytes for `input` and `output`.
Without room: first without `baggage`, then without `tracestate`, then nothing. The input of a StartExecution with a
    `name` is left alone: a second call with the same name succeeds only when the input is the same.
Default: `traceHeader` on; `input` and `output` opt-in `stepfunctions`
"""

from hoptrace.carriers.attributes import bytes_of
from hoptrace.carriers.json_data import Writer
from hoptrace.propagation import aws_headers
from hoptrace.spans.context import SpanContext, format_xray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.carriers.attributes import Entry

VIA = "states"
# Step Functions quotas: 256 KiB of data as UTF-8, and so says botocore's model of the API.
DATA_BYTES = 262_144
HEADER_CHARACTERS = 256


def inject_start(
    entry: "Entry",
    context: SpanContext,
    now_ms: int,
    trace_header: str | None = None,
    data: bool = False,
    named: bool = True,
) -> "Entry":
    """Write `context` into the parameters of StartExecution or StartSyncExecution; return new ones.

    `data` says that the input may be written to; `named` that a name makes the call one that can be repeated, so that
    its input has to stay. Without an input, the service takes an empty object.
    """
    if not isinstance(entry, dict):
        return entry
    ours = {}
    header = format_xray(context, trace_header) if aws_headers() else ""
    if "traceHeader" not in entry and 0 < len(header) <= HEADER_CHARACTERS and header.isascii():
        ours["traceHeader"] = header
    if data and not (named and "name" in entry):
        longer = _with_key(entry.get("input", "{}"), context, now_ms)
        if longer is not None:
            ours["input"] = longer
    return {**entry, **ours} if ours else entry


def inject_success(entry: "Entry", context: SpanContext, now_ms: int) -> "Entry":
    """Write `context` into the parameters of SendTaskSuccess: the next state follows whoever did the task."""
    if not isinstance(entry, dict):
        return entry
    longer = _with_key(entry.get("output"), context, now_ms)
    return entry if longer is None else {**entry, "output": longer}


def _with_key(text: object, context: SpanContext, now_ms: int) -> str | None:
    if not isinstance(text, str):
        return None
    longer = Writer(now_ms, VIA).write(text, context, DATA_BYTES - bytes_of(text))
    return None if longer is text else str(longer)
