"""Every metric that the collector makes, once: its name, instrument, unit, attributes, and where the number comes from.

The names are those of OpenTelemetry's "Semantic conventions for FaaS metrics" where it has one; ours begin with
`hoptrace.`. docs/metrics.md is written from this table.
"""

from typing import NamedTuple

__all__ = ["OWN", "ROWS", "TABLE", "Row", "own_row"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
AGES = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 345_600.0)
BYTES = tuple(float(mebibytes * 1024 * 1024) for mebibytes in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192))
TRANSFERS = tuple(float(1024 * 4**power) for power in range(10))
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

TRIGGER = ("faas.trigger",)
ENVIRONMENT = ("aws.lambda.initialization_type",)

Rows = tuple["Row", ...]


class Row(NamedTuple):
    """One metric. `instrument` is `sum` (delta), `histogram` (delta, with its `bounds`) or `gauge`.

    `description` goes along on the wire, `source` is for the page: where the number comes from, and what is not in it.
    """

    name: str
    instrument: str
    unit: str
    description: str
    attributes: tuple[str, ...]
    source: str
    bounds: tuple[float, ...] = ()


ROWS: Rows = (
    # How invocations ended.
    Row(
        "faas.invocations", "sum", "{invocation}", "Number of successful invocations.", TRIGGER,
        "the tracer's record of the end. As the convention has it, successes only: all invocations are this, "
        "`faas.errors` and `faas.timeouts` together, or `hoptrace.environment.invocations`",
    ),
    Row(
        "faas.errors", "sum", "{error}", "Number of invocation errors.", (*TRIGGER, "error.type"),
        "the exception's class, or Lambda's word for a crash or a failed initialisation. Of more than 50 types in one "
        "environment the rest is `_OTHER`. A timeout is not counted here as well",
    ),
    Row(
        "faas.timeouts", "sum", "{timeout}", "Number of invocation timeouts.", TRIGGER,
        "invocations that Lambda ended at their deadline",
    ),
    Row(
        "hoptrace.invocation.out_of_memory", "sum", "{invocation}", "Invocations that ran out of memory.", TRIGGER,
        "invocations that ended with Lambda's `Runtime.OutOfMemory`; they are among `faas.errors` too. A `MemoryError` "
        "that the handler raised is an error like any other",
    ),
    Row(
        "faas.coldstarts", "sum", "{coldstart}", "Number of invocation cold starts.", TRIGGER,
        "invocations that waited for an initialisation",
    ),
    # How long they took.
    Row(
        "faas.invoke_duration", "histogram", "s", "Measures the duration of the function's logic execution.", TRIGGER,
        "the handler, from its begin to its end; of an invocation that never came back, until it was ended",
        SECONDS,
    ),
    Row(
        "faas.init_duration", "histogram", "s", "Measures the duration of the function's initialization.", ENVIRONMENT,
        "the tracer's `init` span, else Lambda's `platform.initReport`; once for each environment and reset",
        SECONDS,
    ),
    Row(
        "hoptrace.environment.restore_duration", "histogram", "s", "Time that a snapshot took to be restored.",
        ENVIRONMENT, "`platform.restoreReport`, with SnapStart", SECONDS,
    ),
    Row(
        "hoptrace.response.latency", "histogram", "s", "Time until the runtime had answered.", TRIGGER,
        "the span `responseLatency` that Lambda reports. Not for timeouts and crashes",
        SECONDS,
    ),
    Row(
        "hoptrace.environment.post_response_time", "histogram", "s",
        "Time from the handler's return to the collector's asking for the next event.", ENVIRONMENT,
        "the collector's own clock: what is billed, but nobody waits for",
        SECONDS,
    ),
    Row(
        "hoptrace.environment.extension_overhead", "histogram", "s",
        "Time for which extensions held the environment after the runtime was done.", ENVIRONMENT,
        "the span `extensionOverhead` that Lambda reports; all extensions together",
        SECONDS,
    ),
    # What they used, and what it costs.
    Row(
        "faas.cpu_usage", "histogram", "s", "Distribution of CPU usage per invocation.", TRIGGER,
        "CPU time of the function's process, all threads, from the handler's begin to its end; not of an invocation "
        "that never came back, nor of child processes",
        SECONDS,
    ),
    Row(
        "faas.mem_usage", "histogram", "By", "Distribution of max memory usage per invocation.", TRIGGER,
        "the most that the environment has used so far, as Lambda reports it after an invocation; the last report of "
        "an environment may come too late",
        BYTES,
    ),
    Row(
        "hoptrace.invocation.memory_utilization", "histogram", "1", "Memory used, as a share of the function's memory.",
        TRIGGER, "the same report, against the memory size in it",
        SHARES,
    ),
    Row(
        "faas.net_io", "histogram", "By", "Distribution of net I/O usage per invocation.", TRIGGER,
        "bytes received and sent by the microVM's interface during an invocation, what the collector sends itself "
        "excepted; not for the first invocation, and nowhere but in Lambda",
        TRANSFERS,
    ),
    Row(
        "hoptrace.response.size", "histogram", "By", "Size of what the handler answered.", TRIGGER,
        "`producedBytes` that Lambda reports",
        TRANSFERS,
    ),
    Row(
        "hoptrace.invocation.billed_duration", "sum", "s", "Time that Lambda bills.", ("hoptrace.source",),
        "`billedDurationMs` of Lambda's report (`hoptrace.source` = `report`). An environment's last report often "
        "comes too late: its invocation is then measured here at the end, from its begin (of a cold start: its "
        "initialisation's) until the environment was given back (`clock`). None on Managed Instances",
    ),
    Row(
        "hoptrace.invocation.estimated_cost", "sum", "{USD}", "Estimated price of the invocations.",
        ("hoptrace.source",),
        "an estimate: the billed duration, times the memory, at `HOPTRACE_PRICE_PER_GB_SECOND`, and "
        "`HOPTRACE_PRICE_PER_MILLION_REQUESTS`; see below. None on Managed Instances",
    ),
    # What the functions they call and the messages they get say.
    Row(
        "hoptrace.aws.throttles", "sum", "{throttle}", "Throttled attempts of calls to AWS.", ("rpc.method",),
        "`hoptrace.aws.throttle_count` of the function's AWS calls; "
        "of more than 50 methods the rest is `_OTHER`",
    ),
    Row(
        "hoptrace.policy.denied", "sum", "{call}", "Calls that the function's policy does not allow.",
        ("hoptrace.policy.mode", "hoptrace.policy.operation"),
        "calls that `HOPTRACE_POLICY` has noted (`observe`) or stopped (`block`), by AWS action or host; of more than "
        "50 operations the rest is `_OTHER`",
    ),
    Row(
        "hoptrace.batch.item_failures", "sum", "{record}", "Records that an answer named in batchItemFailures.",
        TRIGGER, "`hoptrace.batch.item_failures` of the invocation",
    ),
    Row(
        "hoptrace.message.age", "histogram", "s", "Age of an invocation's oldest message.", TRIGGER,
        "from when it could be fetched until the invocation began, by the times in the event",
        AGES,
    ),
    Row(
        "hoptrace.iterator.age", "histogram", "s", "Age of the last record of a stream's batch.", TRIGGER,
        "Kinesis, DynamoDB and Kafka, as Lambda's own `IteratorAge`",
        AGES,
    ),
    # Concurrency, from inside one environment.
    Row(
        "hoptrace.environment.invocations", "sum", "{invocation}", "Invocations that this environment has finished.",
        ENVIRONMENT, "every invocation, however it ended",
    ),
    Row(
        "hoptrace.environment.busy_time", "sum", "s", "Time that this environment has spent on invocations.",
        ENVIRONMENT, "the same durations as in `faas.invoke_duration`",
    ),
    Row(
        "hoptrace.environment.in_flight.max", "gauge", "{invocation}",
        "Largest number of invocations at a time in this environment.", ENVIRONMENT,
        "the invocations that ended in the interval; more than 1 on Managed Instances only",
    ),
    Row(
        "hoptrace.environment.alive", "gauge", "{environment}", "1 for each environment that reports.", ENVIRONMENT,
        "1 in every export; `faas.instance` of the resource tells which environment",
    ),
)  # fmt: skip

_ITEMS = "{item}"
_LOST = (
    "spans lost: `queue_full`, `too_large`, `refused` or `rejected` by the backend, `no_endpoint`, `disk_full`, what "
    "CloudWatch never takes (`too_old`, `too_new`, …), and `tracer_…` for what the tracer could not write"
)
# The collector's own book-keeping: `hoptrace.collector.` and the kind, the reason as an attribute.
OWN: Rows = tuple(
    Row(f"hoptrace.collector.{kind}", "sum", _ITEMS, "What became of the data.", attributes, source)
    for kind, attributes, source in (
        ("received", (), "spans taken in"),
        ("sent", (), "spans that a backend took"),
        ("failed", ("reason",), "attempts to send spans that are to be tried again"),
        ("dropped", ("reason",), _LOST),
        ("unsampled", (), "spans that head sampling leaves out, read for the metrics"),
        ("sampled_out", (), "spans that late sampling left out"),
        ("traces_early", (), "in a gateway: traces that were decided before their time, for want of room"),
        ("traces_whole", (), "in a gateway: spans that were kept unasked, since laying them apart would take too much"),
        ("metrics_received", (), "data points of the function's, by whatever way they came"),
        ("metrics_sent", (), ""),
        ("metrics_failed", ("reason",), ""),
        ("metrics_dropped", ("reason",), "also `too_many_series`: numbers of ours beyond 1,000 series an export"),
        ("logs_received", (), "log records of the function's"),
        ("logs_sent", (), ""),
        ("logs_failed", ("reason",), ""),
        ("logs_dropped", ("reason",), "also `lambda`: what Lambda says it has dropped"),
        *(
            (f"destination_{prefix}{kind}", ("reason",), "of a further destination, whose name begins the reason")
            for prefix in ("", "metrics_", "logs_")
            for kind in ("sent", "failed", "dropped")
        ),
        ("otlp_refused", ("reason",), "requests of others that were not taken, by HTTP status"),
        ("records_skipped", ("reason",), "lines of the tracer that could not be read"),
        ("telemetry_skipped", ("reason",), "what Lambda told that could not be read"),
        ("alerts_sent", (), ""),
        ("alerts_failed", ("reason",), ""),
        ("alerts_dropped", ("reason",), ""),
        ("summaries_sent", (), "invocation summaries"),
        ("summaries_failed", ("reason",), ""),
        ("summaries_dropped", ("reason",), ""),
        ("invocations", ("reason",), "in a gateway: those looked at for the peak concurrency, `in_time` or why not"),
        ("errors", ("reason",), "errors of our own that a guard has stopped, by place"),
        ("events", ("reason",), "events of the Extensions API that are not known"),
    )
)  # fmt: skip

TABLE = {row.name: row for row in (*ROWS, *OWN)}


def own_row(kind: str) -> Row:
    """Return the row of one of the collector's own numbers."""
    name = f"hoptrace.collector.{kind}"
    return TABLE.get(name) or Row(name, "sum", _ITEMS, "What became of the data.", ("reason",), "")
