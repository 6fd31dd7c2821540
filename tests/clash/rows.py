"""The rows of the matrix: what a function ships beside us, and what must come out of it.

Where a row names no version it is the newest that the package index has on the day of the install.
"""

from dataclasses import dataclass, field

WORK: tuple[dict[str, object], ...] = ({"do": "work"}, {"do": "raise"}, {"do": "work"})
OURS = {"init": 1, "f": 3, "send jobs": 2, "send news": 2, "STS.GetCallerIdentity": 2}
WITH_THE_API = {**OURS, "mine": 3}
# What their own provider records comes to our collector too: their wrapper's span, and their instrumentation's.
WITH_THE_SDK = {**WITH_THE_API, "f": 7, "STS.GetCallerIdentity": 4, "SQS.SendMessage": 2, "news send": 2}


def _batch(*what: str) -> dict[str, object]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": f'{{"do": "{do}"}}',
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1790000000000"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:in",
                "awsRegion": "us-east-1",
            }
            for number, do in enumerate(what)
        ]
    }


@dataclass(frozen=True)
class Row:
    """One function.

    Attributes:
        packages: what pip gets, besides boto3.
        app: the file of `apps` that is its `app.py`.
        theirs: where the user's own tool tells what it saw: asked of the function (`tell`), POSTed to the user's
            backend as `otlp` or `sentry`, in the log (`datadog`), or nowhere.
        queue, topic: whose `traceparent` a message to it carries, ours or theirs.
        spans: how often each of our spans arrives.
        off: what is not as it would be alone, in one line.
        matters: run on every Python that is installed, not only on this one.
        quick: part of the normal run.
    """

    name: str
    packages: tuple[str, ...]
    app: str = "alone.py"
    handler: str = "app.handler"
    environment: dict[str, str] = field(default_factory=dict)
    events: tuple[dict[str, object], ...] = WORK
    theirs: str = ""
    queue: str = "ours"
    topic: str = "ours"
    off: str = ""
    spans: dict[str, int] = field(default_factory=lambda: dict(OURS))
    matters: bool = False
    quick: bool = False


def _sdk(version: str, contrib: str, *more: str) -> tuple[str, ...]:
    return (
        f"opentelemetry-sdk{version}",
        f"opentelemetry-exporter-otlp-proto-http{version}",
        f"opentelemetry-instrumentation-botocore{contrib}",
        f"opentelemetry-instrumentation-aws-lambda{contrib}",
        *more,
    )


_OTEL = (
    "OpenTelemetry's botocore instrumentation puts its own traceparent on SNS messages and Lambda payloads; it stays"
)
_SENTRY = "each envelope that Sentry's own thread sends is a POST span, in a trace of its own"

ROWS = (
    Row("no-wrapt", (), quick=True),
    Row("api-1.20", ("opentelemetry-api==1.20.0",), "api.py", spans=WITH_THE_API),
    Row("api-1.30", ("opentelemetry-api==1.30.0",), "api.py", spans=WITH_THE_API),
    Row("api-newest", ("opentelemetry-api",), "api.py", spans=WITH_THE_API),
    # 0.41b0 imports pkg_resources, which setuptools had until 81.
    Row(
        "sdk-1.20",
        _sdk("==1.20.0", "==0.41b0", "setuptools<81"),
        "sdk.py",
        theirs="tell otlp",
        topic="theirs",
        off=_OTEL,
        spans={**WITH_THE_SDK, "f": 3, "app.handler": 4},  # what their wrapper called its span then
    ),
    Row(
        "sdk-newest",
        _sdk("", ""),
        "sdk.py",
        theirs="tell otlp",
        topic="theirs",
        off=_OTEL,
        spans=WITH_THE_SDK,
        matters=True,
        quick=True,
    ),
    Row("wrapt-1.14", ("wrapt==1.14.*",), "wraps.py"),
    Row("wrapt-1.17", ("wrapt==1.17.*",), "wraps.py"),
    Row("wrapt-newest", ("wrapt>=2",), "wraps.py", matters=True, quick=True),
    Row("ddtrace", ("ddtrace",), "dd.py", theirs="datadog", matters=True),
    Row(
        "datadog-lambda",
        ("ddtrace", "datadog-lambda"),
        "dd_lambda.py",
        handler="datadog_lambda.handler.handler",
        environment={"DD_LAMBDA_HANDLER": "app.handler", "DD_TRACE_ENABLED": "true", "DD_SITE": "example.com"},
        theirs="datadog",
        matters=True,
    ),
    Row("sentry", ("sentry-sdk",), "sentry.py", theirs="sentry", spans={**OURS, "POST": 4}, off=_SENTRY, matters=True),
    Row("xray", ("aws-xray-sdk",), "xray.py", theirs="tell", matters=True),
    Row(
        "powertools",
        ("aws-lambda-powertools[tracer]",),
        "powertools.py",
        events=(_batch("work", "raise"), _batch("raise"), _batch("work")),
        theirs="tell",
        spans={**OURS, "SQS in": 4, "process in": 4},
        matters=True,
    ),
    Row(
        "urllib3-1.26",
        ("requests", "urllib3==1.26.*"),
        "http.py",
        theirs="http",
        spans={**OURS, "POST": 6},
        matters=True,
    ),
    Row("urllib3-2", ("requests", "urllib3>=2"), "http.py", theirs="http", spans={**OURS, "POST": 6}),
)
