"""Exports to CloudWatch's OTLP endpoints, within what they take.

The limits are those of the CloudWatch user guide, "OTLP Endpoints". A request over any of them is refused as a whole,
so what a limit is about is left out before, and counted with its reason; what is only too much at once goes in several
requests.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from hoptrace_collector.address import Url
from hoptrace_collector.export.exporter import REFUSED, RETRY, TOO_LARGE, Exporter, Limits, Loss, Result
from hoptrace_collector.export.pieces import Leaf, Piece, leaves, parse_request

__all__ = ["SERVICES", "CloudWatch", "service_of"]

_DAY = 86_400.0
_GAP = 24 * 3600 * 10**9


class _Rules(NamedTuple):
    """What one endpoint takes; sizes in bytes, times in seconds. `action` is what IAM calls the permission."""

    request: int
    leaves: int
    leaf: int
    head: int
    newest: float
    action: str
    names: int = 0
    each: int = 0
    oldest: float = 14 * _DAY


# MB and KB are taken for the smaller of their meanings, since the guide does not say which.
_RULES = {
    "traces": _Rules(5_000_000, 10_000, 200_000, 16_000, 7200.0, "xray:PutSpans and xray:PutSpansForIndexing"),
    # A log event counts 26 bytes more than it has.
    "logs": _Rules(1_000_000, 10_000, 1_000_000, 16_000, 7200.0, "logs:PutLogEvents", each=26),
    "metrics": _Rules(1_000_000, 1_000, 40_000, 40_000, 600.0, "cloudwatch:PutMetricData", names=150),
}
SERVICES = {"traces": "xray", "logs": "logs", "metrics": "monitoring"}
"""What each signal's service is called in addresses and signatures."""

_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu", ".api.amazonwebservices.com.cn")


def service_of(url: Url) -> tuple[str, str] | None:
    """Return the service and the region of a CloudWatch endpoint; None for any other address."""
    host = url.host.lower().rstrip(".")
    domain = next((domain for domain in _DOMAINS if host.endswith(domain)), "")
    if not domain:
        return None
    labels = host[: -len(domain)].removesuffix(".vpce").split(".")
    if len(labels) < 2 or labels[-1].count("-") < 2:
        return None
    service = labels[-2].removesuffix("-fips")
    return (service, labels[-1]) if service in SERVICES.values() else None


class CloudWatch:
    """Sends one signal by `sender`, piece by piece; `now` gives seconds since the epoch.

    `expired` is called when the credentials turn out to be: the next attempt needs others.
    """

    name = "CloudWatch"

    def __init__(
        self,
        signal: str,
        sender: Exporter,
        *,
        expired: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._signal = signal
        self._sender = sender
        self._expired = expired
        self._now = now
        self._rules = _RULES[signal]
        # What is cut anyway need not be put together first.
        self.limits = Limits(min(512, self._rules.leaves), min(Limits().size, self._rules.request // 2))
        self.timeout = sender.timeout
        self.configured = sender.configured
        self.advice = {
            "traces": "Check the endpoint (https://xray.REGION.amazonaws.com) and that Transaction Search is on",
            "logs": "Check that the log group and log stream of x-aws-log-group and x-aws-log-stream exist",
            "metrics": "Check the endpoint (https://monitoring.REGION.amazonaws.com)",
        }[signal]

    def send(self, body: bytes, deadline: float) -> Result:
        """Send the first piece of a batch; see `Exporter.send`."""
        piece, rest, lost = self._fit(body)
        if piece is None:
            return Result("sent", lost=lost)
        result = self._explain(self._sender.send(piece.body(), deadline))
        if result.kind == RETRY or (result.kind == TOO_LARGE and piece.amount > 1):
            return result  # nothing was taken; what is too large is halved until its first piece fits
        return result._replace(lost=lost, rest=tuple(part for each in rest for part in each.parts()))

    def renew(self) -> None:
        """Begin anew; see `Exporter.renew`."""
        self._sender.renew()

    def _fit(self, body: bytes) -> tuple[Piece | None, list[Piece], tuple[Loss, ...]]:
        """Return the first piece, the others, and what CloudWatch would not take in any."""
        now = self._now()
        losses: dict[str, Loss] = {}
        pieces: list[Piece] = []
        begin = end = 0
        for leaf in leaves(self._signal, parse_request(self._signal, body)):
            at = _time_of(self._signal, leaf.message)
            loss = self._loss(leaf, at, now)
            if loss is not None:
                before = losses.get(loss.reason)
                losses[loss.reason] = loss if before is None else before._replace(amount=before.amount + 1)
                continue
            begin, end = min(begin, at), max(end, at)
            if not pieces or self._is_full(pieces[-1], leaf) or end - begin > _GAP:
                pieces.append(Piece(self._signal))
                begin = end = at
            pieces[-1].add(leaf)
        return pieces[0] if pieces else None, pieces[1:], tuple(losses.values())

    def _is_full(self, piece: Piece, leaf: Leaf) -> bool:
        rules = self._rules
        # The heads of log records count for each, as they stand in each event.
        repeated = rules.each + (leaf.head if self._signal == "logs" else 0)
        size = piece.size + piece.cost(leaf) + (piece.amount + 1) * repeated
        return piece.amount >= rules.leaves or size > rules.request

    def _loss(self, leaf: Leaf, at: int, now: float) -> Loss | None:
        """Return why CloudWatch does not take a leaf, None when it does."""
        rules = self._rules
        if at < (now - rules.oldest) * 1e9:
            return Loss("too_old", 1, f"are older than {rules.oldest / _DAY:.0f} days")
        if at > (now + rules.newest) * 1e9:
            return Loss("too_new", 1, f"are more than {rules.newest / 60:.0f} minutes ahead of the clock")
        size = leaf.message.ByteSize() + rules.each + (leaf.head + leaf.named if rules.names else 0)
        if size > rules.leaf:
            return Loss("too_large", 1, f"have more than {rules.leaf} bytes")
        if leaf.head > rules.head:
            return Loss("resource_too_large", 1, f"belong to a resource and scope of more than {rules.head} bytes")
        if rules.names and _names(leaf) > rules.names:
            return Loss("too_many_attributes", 1, f"have more than {rules.names} attributes, the resource's included")
        return None

    def _explain(self, result: Result) -> Result:
        """Return what CloudWatch said in words that say what to do."""
        if result.kind != REFUSED:
            return result
        said = result.reason.lower()
        if "expiredtoken" in said or ("token" in said and "expired" in said):
            self._expired()
            return Result(RETRY, result.reason)
        if "throttl" in said:
            return Result(RETRY, result.reason)
        if "HTTP 403" in result.reason or "accessdenied" in said or "not authorized" in said:
            search = ", and CloudWatch's Transaction Search must be on" if self._signal == "traces" else ""
            return result._replace(advice=f"The role needs the permission {self._rules.action}{search}")
        return result


def _time_of(signal: str, message: Any) -> int:
    if signal == "traces":
        return int(message.start_time_unix_nano)
    return int(message.time_unix_nano or (message.observed_time_unix_nano if signal == "logs" else 0))


def _names(leaf: Leaf) -> int:
    return len(leaf.message.attributes) + len(leaf.resource.resource.attributes) + len(leaf.scope.scope.attributes)
