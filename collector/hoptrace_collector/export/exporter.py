"""What the pipeline sends to: one signal's destination, whatever it speaks.

A batch is the bytes of a protobuf `ExportTraceServiceRequest`, `ExportMetricsServiceRequest` or
`ExportLogsServiceRequest`, by the signal that the exporter was made for: what speaks something else makes it of those.
An exporter tries once. When to try again is for the caller, who knows whether an invocation is being held up.
"""

from typing import NamedTuple, Protocol

from hoptrace_collector.otlp_request import Part

__all__ = ["REFUSED", "RETRY", "SENT", "TOO_LARGE", "Exporter", "Limits", "Loss", "Result"]

SENT, RETRY, TOO_LARGE, REFUSED = "sent", "retry", "too large", "refused"


class Loss(NamedTuple):
    """Items of a batch that were not even sent, since the destination is known not to take them.

    `reason` is what they are counted by, `why` is for the user.
    """

    reason: str
    amount: int
    why: str


class Result(NamedTuple):
    """What became of a batch.

    `kind` is `sent`, `retry` (nothing was taken, later it may be), `too large` or `refused` (for good). `rejected`
    counts the items of a sent batch that the destination did not take; `wait` is what it asks for, in seconds;
    `reason` can be shown to the user, and so can `advice`, where there is better than the exporter's own.

    A destination that takes less at a time gets a part only: then `rest` is what is still to be sent, and `kind` is of
    all else but `lost`. With `retry` and `too large` there is neither.
    """

    kind: str
    reason: str = ""
    rejected: int = 0
    wait: float = 0.0
    advice: str = ""
    lost: tuple[Loss, ...] = ()
    rest: tuple[Part, ...] = ()


class Limits(NamedTuple):
    """The most of one batch: `items` are spans, data points or log records, `size` bytes as protobuf."""

    items: int = 512
    size: int = 1024 * 1024


class Exporter(Protocol):
    """Sends batches of one signal to one destination."""

    @property
    def name(self) -> str:
        """What it is, to the user: `the OTLP backend`."""

    @property
    def advice(self) -> str:
        """What to look at when it refuses a batch for good; no full stop."""

    @property
    def configured(self) -> bool:
        """Whether there is a destination: without, what waits for it is dropped."""

    @property
    def timeout(self) -> float:
        """What one attempt may take at most, in seconds."""

    @property
    def limits(self) -> Limits:
        """The most of one batch."""

    def send(self, body: bytes, deadline: float) -> Result:
        """Send one batch, before `deadline` (a time of `time.monotonic`). Never raises; called by one thread."""

    def renew(self) -> None:
        """Begin anew after a snapshot was restored: what was made before is in every environment of it."""
