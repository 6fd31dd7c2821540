"""Calls an operation of an AWS service that speaks JSON: one signed POST ("AWS JSON 1.1" of the Smithy documents)."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from hoptrace_collector.aws.credentials import CredentialsError, CredentialsSource
from hoptrace_collector.aws.sign import amz_date, sign
from hoptrace_collector.connections import Connections
from hoptrace_collector.settings import Url
from hoptrace_collector.transport import TransportError

if TYPE_CHECKING:
    from hoptrace_collector.proxies import Proxies

__all__ = ["Answer", "Api"]

_EXPIRED = ("ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidSignatureException")


class Answer(NamedTuple):
    """What a service said: `status` 0 when nothing did, `error` the name of its exception, `body` its JSON."""

    status: int
    body: dict[str, Any]
    error: str = ""
    message: str = ""


class Api:
    """One service at `url` in `region`; `now` gives seconds since the epoch."""

    def __init__(
        self,
        service: str,
        url: Url,
        region: str,
        credentials: CredentialsSource,
        *,
        proxies: "Proxies | None" = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._connections = Connections(now=now)
        self._proxy = proxies.of(url) if proxies is not None else None
        self._service = service
        self._url = url
        self._region = region or "us-east-1"
        self._credentials = credentials
        self._now = now

    def call(self, target: str, value: dict[str, Any], deadline: float) -> Answer:
        """Call the operation `target` and return what came of it before `deadline` (monotonic). Never raises."""
        body = json.dumps(value).encode()
        try:
            headers = sign(
                self._credentials.get(deadline),
                service=self._service,
                region=self._region,
                url=self._url,
                headers=[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)],
                body=body,
                date=amz_date(self._now()),
            )
            response = self._connections.request("POST", self._url, headers, body, deadline=deadline, proxy=self._proxy)
        except (CredentialsError, TransportError, OSError) as error:
            return Answer(0, {}, "", str(error))
        try:
            said = json.loads(response.body)
        except (ValueError, RecursionError):
            said = None
        found = said if isinstance(said, dict) else {}
        if response.status == 200:
            return Answer(200, found)
        error_type = str(found.get("__type", "")).rpartition("#")[2].partition(":")[0]
        if error_type in _EXPIRED:
            self._credentials.forget()
        message = found.get("message") or found.get("Message") or f"HTTP {response.status}"
        return Answer(response.status, found, error_type, str(message))

    def close(self) -> None:
        """End what connections there are."""
        self._connections.close()
