"""Chooses what exports a signal, by what its settings say: what is not used is not loaded."""

import time
from collections.abc import Callable

from hoptrace_collector.connections import Connections
from hoptrace_collector.export.exporter import Exporter
from hoptrace_collector.export.headers import Headers
from hoptrace_collector.export.sender import Sender, Sign
from hoptrace_collector.settings import Otlp

__all__ = ["exporter_for"]


def exporter_for(
    signal: str,
    target: Otlp,
    *,
    connections: Connections | None = None,
    say: Callable[[str, str], None] = lambda _cause, _line: None,
    now: Callable[[], float] = time.time,
) -> Exporter:
    """Return the exporter of `signal` (`traces`, `metrics` or `logs`) to `target`.

    `connections` may be shared by exporters that one thread calls; `say(cause, line)` tells the user, once for each
    cause; `now` gives seconds since the epoch.
    """
    if target.stream == "stdout":
        from hoptrace_collector.export.stdout import Stdout

        return Stdout(signal, target.service, json_form=target.json)
    if target.stream.startswith("kinesis:"):
        from hoptrace_collector.aws.api import Api
        from hoptrace_collector.aws.credentials import CredentialsSource
        from hoptrace_collector.export.kinesis import Kinesis

        aws = target.aws
        credentials = CredentialsSource(aws, now=now)
        api = Api("kinesis", aws.endpoint("kinesis"), aws.region, credentials, proxies=target.proxies, now=now)
        return Kinesis(signal, target.stream.partition(":")[2], api)
    if target.stream:
        from hoptrace_collector.export.file import File

        return File(signal, target.stream)
    encode: Callable[[bytes], bytes] | None = None
    if target.json:
        from hoptrace_collector.export.json_form import in_json

        encode = in_json(signal)
    headers = _headers(target, say)
    where = _signed_for(target)
    if where is None:
        return Sender(target, now=now, connections=connections, headers=headers, encode=encode)
    if target.auth == "auto" and (lacking := _lacking(signal, target, where[0])):
        say(f"cloudwatch {signal}", lacking)
        return Sender(target._replace(url=None), now=now)
    return _cloudwatch(signal, target, where, connections, headers, encode, now)


def _headers(target: Otlp, say: Callable[[str, str], None]) -> Headers:
    # What a reference begins with; whether it is one, `aws.references` says.
    if not any("arn:" in value.reveal() or "ssm:/" in value.reveal() for _, value in target.headers):
        return Headers(target.headers)
    from hoptrace_collector.aws.references import resolver_for
    from hoptrace_collector.export.looked_up import LookedUpHeaders

    return LookedUpHeaders(target.headers, resolver_for(target.aws, target.proxies), say)


def _signed_for(target: Otlp) -> tuple[str, str] | None:
    """Return for which service and region requests are signed; None where they are not, but may be CloudWatch's."""
    if target.url is None or not target.auth:
        return None
    if target.auth != "auto":
        return target.auth, target.aws.region
    if ".amazonaws." not in target.url.host and ".api.aws" not in target.url.host:
        return None
    from hoptrace_collector.export.cloudwatch import service_of

    return service_of(target.url)


def _lacking(signal: str, target: Otlp, service: str) -> str:
    """Return what is to be set for CloudWatch's endpoint of `service` to take the signal; empty for nothing."""
    from hoptrace_collector.export.cloudwatch import SERVICES

    capitals = signal.upper()
    if service != SERVICES[signal]:
        endpoint = f"https://{SERVICES[signal]}.REGION.amazonaws.com/v1/{signal}"
        return (
            f"{signal} go nowhere: CloudWatch takes them at another address. Set "
            f"OTEL_EXPORTER_OTLP_{capitals}_ENDPOINT={endpoint}, or OTEL_{capitals}_EXPORTER=none"
        )
    names = [name for name, _ in target.headers]
    if signal == "logs" and not ("x-aws-log-group" in names and "x-aws-log-stream" in names):
        return (
            "logs go nowhere: CloudWatch wants to know a log group and a log stream that exist. Set "
            "OTEL_EXPORTER_OTLP_LOGS_HEADERS=x-aws-log-group=GROUP,x-aws-log-stream=STREAM"
        )
    return ""


def _cloudwatch(
    signal: str,
    target: Otlp,
    where: tuple[str, str],
    connections: Connections | None,
    headers: Headers,
    encode: Callable[[bytes], bytes] | None,
    now: Callable[[], float],
) -> Exporter:
    from hoptrace_collector.aws.credentials import CredentialsSource
    from hoptrace_collector.export.cloudwatch import SERVICES, CloudWatch
    from hoptrace_collector.export.sigv4 import SigV4

    service, region = where
    sign: Sign | None = None
    expired: Callable[[], None] = lambda: None  # noqa: E731
    if not any(name == "authorization" for name, _ in target.headers):
        signer = SigV4(service, region, CredentialsSource(target.aws, now=now), now=now)
        sign, expired = signer, signer.expired
    sender = Sender(target, now=now, connections=connections, headers=headers, encode=encode, sign=sign)
    return CloudWatch(signal, sender, expired=expired, now=now) if service == SERVICES[signal] else sender
