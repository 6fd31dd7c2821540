"""What woke the function, in one shape for every trigger: an arrival, its records, and the hops that each came by."""

from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    Attributes = dict[str, str | int | float | bool | list[str]]

# Before Lambda existed (2014) and after the year 2100 no timestamp in an event is meant.
_EARLIEST_NS = 1_388_534_400 * 10**9
_LATEST_NS = 4_102_444_800 * 10**9


CLAMPED = "hoptrace.hop.clamped"
"""The attribute of a hop whose times are not as the services wrote them, since their clocks contradict each other."""


class Hop:
    """The time that an event spent in a managed service.

    `name` is the span's name ("SQS orders"), `system` the service ("aws_sqs", "aws.sns", "aws.eventbridge",
    "aws.apigateway", "aws.lambda" for function URLs). `start_ns` and `end_ns` are nanoseconds since the epoch; an
    `end_ns` of None means until the invocation began. `coarse` says that `start_ns` is the latest moment that a time
    cut to its second can have meant.
    """

    __slots__ = ("attributes", "coarse", "end_ns", "name", "start_ns", "system")

    def __init__(
        self, name: str, system: str, start_ns: int, end_ns: int | None = None, attributes: "Attributes | None" = None
    ) -> None:
        self.name = name
        self.system = system
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.attributes: Attributes = {} if attributes is None else attributes
        self.coarse = False

    def times(self, begin_ns: int) -> tuple[int, int]:
        """Return start and end for an invocation that began at `begin_ns`, never one after the other or after that.

        The clocks are different machines': a hop that would end before it starts is drawn with no length, and says so.
        """
        end_ns = begin_ns if self.end_ns is None or self.end_ns > begin_ns else self.end_ns
        self.start_not_after(end_ns)
        if self.end_ns is not None and self.end_ns > begin_ns:
            self.attributes[CLAMPED] = True
        return self.start_ns, end_ns

    def start_not_after(self, latest_ns: int) -> None:
        """Put the start back where the clocks of two machines have it after what came next."""
        if self.start_ns > latest_ns:
            self.start_ns = latest_ns
            if not self.coarse:
                self.attributes[CLAMPED] = True


class Record:
    """One of the things that arrived.

    `item_id` is what a `batchItemFailures` answer calls it, `name` the name of a span that processes it ("process
    orders"), "" when there is nothing to name. `context` is the producer's span, None when nothing was carried, and
    `carrier` where that stood: "traceparent", "xray" (a trace header), "client_context", "connection" (a WebSocket's,
    as remembered) or "extractor" (the user's own), "" without. `root` is a bare trace id (32 hex digits) that came
    without a span, mostly "". `hops` are the services it came by, the earliest first. `since_ns` is when it was there
    to be fetched (its age counts from then, nanoseconds since the epoch), None when the event does not say. `links` are
    spans that it has to do with beside its producer, each with the link's attributes. `pointers` are words for
    `hoptrace.pointers`, used when no context was carried.
    `shared` says that others than the producer look for the pointers, so that they are used all the same.
    """

    __slots__ = (
        "attributes",
        "carrier",
        "context",
        "hops",
        "item_id",
        "links",
        "name",
        "pointers",
        "root",
        "shared",
        "since_ns",
    )

    def __init__(
        self,
        item_id: str = "",
        name: str = "",
        context: SpanContext | None = None,
        carrier: str = "",
        root: str = "",
        hops: "list[Hop] | None" = None,
        attributes: "Attributes | None" = None,
    ) -> None:
        self.item_id = item_id
        self.name = name
        self.context = context
        self.carrier = carrier if context is not None else ""
        self.root = root
        self.hops: list[Hop] = [] if hops is None else hops
        self.attributes: Attributes = {} if attributes is None else attributes
        self.since_ns: int | None = None
        self.links: list[tuple[SpanContext, Attributes]] = []
        self.pointers: list[tuple[str, ...]] = []
        self.shared = False


class Arrival:
    """What woke the function.

    `name` is the trigger's, "other" when none fits; `faas_trigger` the OpenTelemetry value ("http", "pubsub",
    "datasource", "timer", "other"); `span_name` a better name for the invocation's span than the function's, None
    when there is none (the conventions have one for HTTP only). `is_http` says that the result is an HTTP response,
    `partial_failures` that the result may name failed records in `batchItemFailures`, `ordered` that the records are
    of a stream, where what follows a failed one is delivered again with it.
    """

    __slots__ = ("attributes", "faas_trigger", "is_http", "name", "ordered", "partial_failures", "records", "span_name")

    def __init__(
        self,
        name: str,
        faas_trigger: str = "other",
        span_name: str | None = None,
        attributes: "Attributes | None" = None,
        records: "list[Record] | None" = None,
        is_http: bool = False,
        partial_failures: bool = False,
        ordered: bool = False,
    ) -> None:
        self.name = name
        self.faas_trigger = faas_trigger
        self.span_name = span_name
        self.attributes: Attributes = {} if attributes is None else attributes
        self.records: list[Record] = [] if records is None else records
        self.is_http = is_http
        self.partial_failures = partial_failures
        self.ordered = ordered


def chain(hops: "list[Hop | None]") -> "list[Hop]":
    """Let each hop end where the next one starts, the last one open; hops that had no usable time are left out."""
    known = [hop for hop in hops if hop is not None]
    for index in range(len(known) - 2, -1, -1):
        hop, following = known[index], known[index + 1]
        hop.start_not_after(following.start_ns)
        hop.end_ns = following.start_ns
    return known


def from_ms(milliseconds: float | None) -> int | None:
    """Turn epoch milliseconds into nanoseconds; None for what is no time that can be meant."""
    if milliseconds is None:
        return None
    nanoseconds = int(milliseconds * 1_000_000)
    return nanoseconds if _EARLIEST_NS <= nanoseconds <= _LATEST_NS else None


def from_seconds(seconds: float | None) -> int | None:
    """Turn epoch seconds, whole or with a fraction, into nanoseconds; None for what is no time that can be meant.

    By way of milliseconds, which is what the services count in: a fraction of seconds has no exact float.
    """
    return None if seconds is None else from_ms(round(seconds * 1000))


def from_iso(text: str) -> int | None:
    """Turn `2026-11-23T16:24:05.123Z`, as AWS writes times, into epoch nanoseconds; None for anything else.

    By hand, since `datetime` is not loaded in a function that has not imported it.
    """
    if not 20 <= len(text) <= 30 or text[-1] != "Z" or not text.isascii():
        return None
    if (text[4], text[7], text[10], text[13], text[16]) != ("-", "-", "T", ":", ":"):
        return None
    parts = (text[:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19])
    fraction = text[20:-1] or "0"
    if not all(part.isdigit() for part in parts) or text[19] not in ".Z" or not fraction.isdigit():
        return None
    year, month, day, hour, minute, second = map(int, parts)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        return None
    # Days from the civil calendar: years that begin in March put the leap day last.
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719_468
    nanoseconds = (days * 86_400 + hour * 3_600 + minute * 60 + second) * 10**9 + int(fraction[:9].ljust(9, "0"))
    return nanoseconds if _EARLIEST_NS <= nanoseconds <= _LATEST_NS else None


def is_coarse(nanoseconds: int) -> bool:
    """Tell whether a time has whole seconds only, as EventBridge writes it."""
    return nanoseconds % 1_000_000_000 == 0


def hop_since(name: str, system: str, start_ns: int, attributes: "Attributes") -> Hop:
    """Make a hop from a time that may be cut to its second: then from the latest moment that it can have meant.

    Taken literally, it would draw a hop that begins before the span that sent the message.
    """
    coarse = is_coarse(start_ns)
    hop = Hop(name, system, start_ns + 999_000_000 if coarse else start_ns, attributes=attributes)
    hop.coarse = coarse
    return hop


def last_of_arn(arn: str) -> str:
    """Return the resource's name: the part of an ARN after its last colon or slash ("orders")."""
    return arn.rpartition(":")[2].rpartition("/")[2]


def is_event(event: Shape) -> bool:
    """Tell whether this is an EventBridge event, whether Lambda was invoked with it or a message wraps it."""
    return event.text("detail-type") != "" and event.text("source") != "" and event.is_object("detail")


def _names(word: str) -> tuple[str, ...]:
    first, _, second = word.partition("-")
    return word, f"{first}_{second}", first + second.capitalize(), "aws.scheduler." + word


SCHEDULE_ARN = _names("schedule-arn")
"""The names under which an input of a schedule's author may have its ARN."""


def keyword(event: Shape, word: str) -> Shape:
    """Return what an EventBridge schedule's input says under one of the names that fit the keyword `word`.

    The names are the author's. `<aws.scheduler.schedule-arn>` may be filled into `schedule-arn`, `schedule_arn`,
    `scheduleArn` or the keyword's own name.
    """
    names = _names(word)
    return event.get(next((name for name in names if event.has(name)), word))
