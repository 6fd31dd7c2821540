"""Posts OTLP to one signal's endpoint, once a call: an `Exporter`."""

import zlib
from collections.abc import Callable

from hoptrace_collector.connections import Certificates, Connections
from hoptrace_collector.export.answer import judge
from hoptrace_collector.export.exporter import REFUSED, RETRY, Limits, Result
from hoptrace_collector.export.headers import Headers, Unknown
from hoptrace_collector.settings import Otlp, Url
from hoptrace_collector.transport import Response, TransportError

__all__ = ["Sender", "Sign"]

Sign = Callable[[Url, list[tuple[str, str]], bytes, float], list[tuple[str, str]]]
"""Gives an address, headers, body and deadline the headers that say who asks; raises Unknown."""


class Sender:
    """Posts what it is given, as protobuf or as `encode` makes it."""

    name = "the OTLP backend"
    advice = "Check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS"
    limits = Limits()

    def __init__(
        self,
        target: Otlp,
        *,
        now: Callable[[], float],
        connections: Connections | None = None,
        headers: Headers | None = None,
        encode: Callable[[bytes], bytes] | None = None,
        sign: Sign | None = None,
    ) -> None:
        """Send to `target`, by `connections` that others may share; `now` gives seconds since the epoch.

        `headers`: where they are not simply the target's. `encode` makes JSON of a request.
        """
        self._target = target
        self._now = now
        self._connections = connections or Connections(now=now)
        self._certificates = Certificates(target.certificate, target.client_certificate, target.client_key)
        self._headers = headers or Headers(target.headers)
        self._encode = encode
        self._sign = sign
        self._proxy = target.proxies.of(target.url) if target.proxies and target.url else None
        self.timeout = target.timeout

    @property
    def configured(self) -> bool:
        """Whether there is an endpoint at all."""
        return self._target.url is not None

    def send(self, body: bytes, deadline: float) -> Result:
        """Post `body`; the answer must come before `deadline` (a time of `time.monotonic`). Never raises."""
        url = self._target.url
        if url is None:
            return Result(REFUSED, "no endpoint is set")
        try:
            head, body = self._packed(body)
            response = self._post(url, head, body, deadline)
            if response.status in (401, 403) and self._headers.renew(deadline):
                response = self._post(url, head, body, deadline)
            return judge(response, self._now())
        except (TransportError, Unknown) as error:
            return Result(RETRY, str(error))
        except OSError as error:  # a certificate file that cannot be read
            return Result(RETRY, f"TLS: {error}")

    def renew(self) -> None:
        """Nothing here is an environment's own; credentials and secrets end by the wall clock."""

    def _packed(self, body: bytes) -> tuple[list[tuple[str, str]], bytes]:
        """Return the body as it is sent, with the headers that describe it."""
        if self._encode is not None:
            body = self._encode(body)
        kind = "application/x-protobuf" if self._encode is None else "application/json"
        head = [("content-type", kind), ("user-agent", "hoptrace-collector/0.1.0")]
        if self._target.gzip:
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            head.append(("content-encoding", "gzip"))
        return head, body

    def _post(self, url: Url, head: list[tuple[str, str]], body: bytes, deadline: float) -> Response:
        headers = head + self._headers.get(deadline)
        if self._sign is not None:
            headers = self._sign(url, headers, body, deadline)
        return self._connections.request(
            "POST",
            url,
            headers,
            body,
            deadline=deadline,
            certificates=self._certificates,
            proxy=self._proxy,
        )
