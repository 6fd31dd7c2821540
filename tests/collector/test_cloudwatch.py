"""CloudWatch's OTLP endpoints, stood in for by a server that holds every request against the user guide's limits."""

import re
import time
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_collector.counters import Counters
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.export.cloudwatch import CloudWatch, service_of
from hoptrace_collector.export.exporter import SENT, Result
from hoptrace_collector.export.pieces import leaves, parse_request
from hoptrace_collector.otlp_request import new_request, parts_of
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.pipeline.flush import LOGS, METRICS, TRACES, Flusher
from hoptrace_collector.pipeline.queue import Item, Queue, Room
from hoptrace_collector.settings import Otlp, Secret, parse_url, read

from .support import Backend, Posted, unpacked

NOW = 1_790_000_000
HOUR = 3600
DAY = 24 * HOUR
KEYS = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_SESSION_TOKEN": "T", "AWS_REGION": "eu-west-1"}
SIGNALS = {"traces": TRACES, "metrics": METRICS, "logs": LOGS}


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("xray.eu-west-1.amazonaws.com", ("xray", "eu-west-1")),
        ("logs.us-gov-west-1.amazonaws.com", ("logs", "us-gov-west-1")),
        ("monitoring.cn-north-1.amazonaws.com.cn", ("monitoring", "cn-north-1")),
        ("xray-fips.us-east-1.amazonaws.com", ("xray", "us-east-1")),
        ("logs.eu-west-1.api.aws", ("logs", "eu-west-1")),
        ("vpce-0a1b-c2d3.xray.eu-west-1.vpce.amazonaws.com", ("xray", "eu-west-1")),
        ("XRAY.eu-west-1.amazonaws.com.", ("xray", "eu-west-1")),
        ("sqs.eu-west-1.amazonaws.com", None),
        ("xray.eu-west-1.amazonaws.com.example.com", None),
        ("notamazonaws.com", None),
        ("xray.amazonaws.com", None),
        ("localhost", None),
    ],
)
def test_an_endpoint_of_cloudwatch_is_known_by_its_host(host: str, found: Any) -> None:
    assert service_of(parse_url(f"https://{host}/v1/traces")) == found


class Strict:
    """Takes what the guide says that the endpoint takes; each request is judged as a whole."""

    name, advice, configured, timeout = "strict", "", True, 1.0

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.taken: list[Any] = []

    def send(self, body: bytes, deadline: float) -> Result:
        request = parse_request(self.signal, body)
        found = list(leaves(self.signal, request))
        assert found, "an empty request"
        times = [
            leaf.message.start_time_unix_nano if self.signal == "traces" else leaf.message.time_unix_nano
            for leaf in found
        ]
        assert max(times) - min(times) <= DAY * 10**9
        ahead = 600 if self.signal == "metrics" else 2 * HOUR
        assert all((NOW - 14 * DAY) * 10**9 <= at <= (NOW + ahead) * 10**9 for at in times)
        if self.signal == "traces":
            assert len(body) <= 5_000_000
            assert len(found) <= 10_000
            assert all(leaf.message.ByteSize() <= 200_000 for leaf in found)
        elif self.signal == "logs":
            assert sum(leaf.message.ByteSize() + 26 for leaf in found) <= 1_000_000
            assert len(found) <= 10_000
        else:
            assert len(body) <= 1_000_000
            assert len(found) <= 1_000
            assert all(len(leaf.message.attributes) <= 150 for leaf in found)
        assert all(leaf.head <= (40_000 if self.signal == "metrics" else 16_000) for leaf in found)
        self.taken += [leaf.message.attributes[0].value.int_value for leaf in found]
        return Result(SENT)


class Pipeline:
    """A queue that is emptied into CloudWatch."""

    def __init__(self, signal: str, sender: Any = None) -> None:
        self.signal = signal
        self.strict = Strict(signal)
        self.said: list[str] = []
        self.counters = Counters(self.said.append)
        kind = SIGNALS[signal]
        self.queue = Queue(Room(1 << 30), lambda count, reason: self.counters.add("dropped", reason, count))
        self.exporter = CloudWatch(signal, sender or self.strict, now=lambda: float(NOW))
        backoff = Breaker(lambda: 0.0, lambda: 1.0)
        self.flusher = Flusher(self.queue, self.exporter, backoff, self.counters, kind, clock=lambda: 0.0)

    def send(self, *requests: Any) -> None:
        for request in requests:
            for part in parts_of(self.signal, request):
                self.queue.put(Item(None, part.data, amount=part.amount))
        self.flusher.flush(1.0)

    def total(self, kind: str, reason: str | None = None) -> int:
        return self.counters.total(SIGNALS[self.signal].counter(kind), reason)


def request_of(signal: str, leaf: list[tuple[int, int, int]], head: int = 10, first: int = 0) -> Any:
    """One resource with leaves of (seconds after now, bytes, further attributes), numbered from `first`."""
    request = new_request(signal)
    resource = getattr(request, {"traces": "resource_spans", "logs": "resource_logs"}.get(signal, "resource_metrics"))
    added = resource.add()
    added.resource.attributes.add(key="pad").value.string_value = "r" * head
    scope = getattr(added, {"traces": "scope_spans", "logs": "scope_logs"}.get(signal, "scope_metrics")).add()
    points = scope.metrics.add(name="m").sum.data_points if signal == "metrics" else None
    for number, (at, size, more) in enumerate(leaf, first):
        nano = (NOW + at) * 10**9
        if signal == "traces":
            made = scope.spans.add(start_time_unix_nano=nano, end_time_unix_nano=nano + 1)
        elif signal == "logs":
            made = scope.log_records.add(time_unix_nano=nano)
        else:
            made = points.add(time_unix_nano=nano)
        made.attributes.add(key="n").value.int_value = number
        made.attributes.add(key="pad").value.string_value = "x" * size
        for extra in range(more):
            made.attributes.add(key=f"k{extra}")
    return request


leaf = st.tuples(
    st.one_of(st.integers(-60, 60), st.sampled_from([-15 * DAY, -13 * DAY, -DAY - HOUR, HOUR, 3 * HOUR, DAY])),
    st.sampled_from([1, 100, 39_000, 41_000, 150_000, 250_000, 600_000, 1_100_000]),
    st.sampled_from([0, 0, 0, 147, 151]),
)


@settings(max_examples=25, deadline=None)
@given(
    signal=st.sampled_from(["traces", "metrics", "logs"]),
    groups=st.lists(
        st.tuples(st.lists(leaf, max_size=8), st.sampled_from([10, 10, 10, 15_000, 17_000, 50_000])), max_size=4
    ),
)
def test_no_request_is_over_a_limit_and_whatever_is_left_out_is_counted(signal: str, groups: Any) -> None:
    pipeline, number, requests = Pipeline(signal), 0, []
    for members, head in groups:
        requests.append(request_of(signal, members, head, number))
        number += len(members)
    pipeline.send(*requests)
    assert len(pipeline.strict.taken) == len(set(pipeline.strict.taken)) == pipeline.total("sent")
    assert pipeline.total("sent") + pipeline.total("dropped") == number
    assert not len(pipeline.queue)


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_what_only_is_too_much_at_once_goes_in_several_requests(signal: str) -> None:
    pipeline = Pipeline(signal)
    pipeline.send(request_of(signal, [(0, 10, 0)] * 12_000), request_of(signal, [(0, 30_000, 0)] * 100, first=12_000))
    assert sorted(pipeline.strict.taken) == list(range(12_100))
    assert pipeline.total("dropped") == 0


def test_each_reason_is_counted_and_said_once() -> None:
    pipeline = Pipeline("metrics")
    pipeline.send(
        request_of("metrics", [(-15 * DAY, 1, 0), (700, 1, 0), (0, 50_000, 0), (0, 1, 151), (0, 1, 0)]),
        request_of("metrics", [(0, 1, 0)], head=41_000),
    )
    reasons = ("too_old", "too_new", "too_large", "too_many_attributes")
    assert [pipeline.total("dropped", reason) for reason in reasons] == [1, 1, 2, 1]
    assert pipeline.total("sent") == 1
    assert any("CloudWatch takes none that are older than 14 days" in line for line in pipeline.said)
    traces = Pipeline("traces")
    traces.send(request_of("traces", [(0, 1, 0)] * 2, head=17_000))
    assert traces.total("dropped", "resource_too_large") == 2


def test_nothing_is_sent_twice_when_a_part_was_taken_and_the_rest_was_not() -> None:
    class Once(Strict):
        def send(self, body: bytes, deadline: float) -> Result:
            return super().send(body, deadline) if not self.taken or self.again else Result("retry", "busy")

        again = False

    once = Once("traces")
    pipeline = Pipeline("traces", once)
    pipeline.send(request_of("traces", [(0, 10, 0), (-DAY - 10, 10, 0), (0, 20, 0)]))
    assert (once.taken, pipeline.total("sent"), len(pipeline.queue)) == ([0], 1, 2)
    once.again = True
    pipeline.flusher = Flusher(
        pipeline.queue, pipeline.exporter, Breaker(lambda: 0.0, lambda: 1.0), pipeline.counters, clock=lambda: 0.0
    )
    pipeline.flusher.flush(1.0)
    assert (once.taken, pipeline.total("sent")) == ([0, 1, 2], 3)


def signature_is_right(posted: Posted, service: str, host: str) -> bool:
    """Whether botocore would sign what came in the same way."""
    said = posted.headers["authorization"]
    names = re.search(r"SignedHeaders=([^,]+)", said).group(1).split(";")  # type: ignore[union-attr]
    headers = {name: posted.headers[name] for name in names if name not in ("x-amz-date", "x-amz-security-token")}
    oracle = AWSRequest("POST", f"http://{host}{posted.path}", data=posted.body, headers=headers)
    signer = SigV4Auth(BotocoreCredentials("AK", "SK", "T"), service, "eu-west-1")
    oracle.context["timestamp"] = posted.headers["x-amz-date"]
    for name in ("X-Amz-Date", "X-Amz-Security-Token"):
        oracle.headers[name] = posted.headers[name.lower()]
    text = signer.string_to_sign(oracle, signer.canonical_request(oracle))
    return said.endswith("Signature=" + signer.signature(text, oracle))


def signed(backend: Backend, **env: str) -> tuple[Otlp, list[str]]:
    given_, complaints = read(
        {**KEYS, "HOPTRACE_EXPORTER_OTLP_AUTH": "sigv4", "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url, **env}
    )
    return given_.traces, complaints


@pytest.mark.parametrize("packed", ["none", "gzip"])
def test_a_request_is_signed_over_what_is_really_sent(packed: str) -> None:
    with Backend() as backend:
        target, _ = signed(
            backend, OTEL_EXPORTER_OTLP_COMPRESSION=packed, OTEL_EXPORTER_OTLP_HEADERS="x-aws-log-group=g,other=o"
        )
        exporter = exporter_for("traces", target)
        assert exporter.send(now_request(), time.monotonic() + 2).kind == SENT
        (posted,) = backend.requests
        assert signature_is_right(posted, "xray", f"127.0.0.1:{backend.port}")
        assert "x-aws-log-group" in posted.headers["authorization"]
        assert posted.headers["other"] == "o"
        assert len(list(leaves("traces", parse_request("traces", unpacked(posted))))) == 1


def now_request() -> bytes:
    request = request_of("traces", [(0, 1, 0)])
    request.resource_spans[0].scope_spans[0].spans[0].start_time_unix_nano = time.time_ns()
    return bytes(request.SerializeToString())


def test_a_header_of_the_users_wins_over_signing_and_another_service_is_signed_for_too() -> None:
    with Backend() as backend:
        target, _ = signed(backend, OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20x")
        exporter_for("traces", target).send(now_request(), time.monotonic() + 2)
        target, _ = signed(backend, HOPTRACE_EXPORTER_OTLP_AUTH="sigv4:osis")
        exporter_for("traces", target).send(now_request(), time.monotonic() + 2)
        target, _ = signed(backend, HOPTRACE_EXPORTER_OTLP_AUTH="none")
        exporter_for("traces", target).send(now_request(), time.monotonic() + 2)
        bearer, other, plain = backend.requests
        assert bearer.headers["authorization"] == "Bearer x"
        assert signature_is_right(other, "osis", f"127.0.0.1:{backend.port}")
        assert "authorization" not in plain.headers
    assert len(signed(backend, HOPTRACE_EXPORTER_OTLP_AUTH="kerberos")[1]) == 1


def test_a_missing_permission_is_one_line_that_says_which() -> None:
    said = b'{"message":"User: arn:aws:sts::1:assumed-role/r/f is not authorized to perform: xray:PutSpans"}'
    with Backend((403, {"content-type": "application/json"}, said)) as backend:
        target, _ = signed(backend)
        lines: list[str] = []
        counters = Counters(lines.append)
        queue = Queue(Room(1 << 20), lambda _count, _reason: None)
        flusher = Flusher(queue, exporter_for("traces", target), Breaker(lambda: 0.0, lambda: 1.0), counters)
        for _ in range(2):
            queue.put(Item(None, parts_of("traces", parse_request("traces", now_request()))[0].data))
            flusher.flush(time.monotonic() + 5)
        assert counters.total("dropped", "refused") == 2
        (line,) = lines
        assert "CloudWatch refused 1 spans for good (HTTP 403" in line
        assert "The role needs the permission xray:PutSpans and xray:PutSpansForIndexing, and" in line
        assert "Transaction Search must be on" in line


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (403, b'{"message":"The security token included in the request is expired"}', "retry"),
        (400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}', "retry"),
        (400, b'{"message":"no such log group"}', "refused"),
        (429, b"", "retry"),
    ],
)
def test_what_passes_by_itself_is_tried_again(status: int, text: bytes, kind: str) -> None:
    with Backend((status, {"content-type": "application/json"}, text)) as backend:
        target, _ = signed(backend)
        assert exporter_for("traces", target).send(now_request(), time.monotonic() + 2).kind == kind


def test_expired_credentials_are_fetched_anew() -> None:
    expired = (403, {"content-type": "application/json"}, b'{"message":"ExpiredTokenException"}')
    keys = (200, {}, b'{"AccessKeyId":"AK","SecretAccessKey":"SK","Token":"T"}')
    with Backend(expired, (200, {}, b""), get=keys) as backend:
        given_, _ = read(
            {
                "AWS_REGION": "eu-west-1",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": backend.url + "/credentials",
                "HOPTRACE_EXPORTER_OTLP_AUTH": "sigv4",
                "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            }
        )
        exporter = exporter_for("traces", given_.traces)
        kinds = [exporter.send(now_request(), time.monotonic() + 2).kind for _ in range(2)]
        assert kinds == ["retry", "sent"]
        assert [posted.path for posted in backend.requests] == ["/credentials", "/v1/traces"] * 2


def test_without_credentials_everything_is_kept() -> None:
    with Backend() as backend:
        target, _ = signed(backend, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        result = exporter_for("traces", target).send(now_request(), time.monotonic() + 2)
        assert result.kind == "retry"
        assert "there are no AWS credentials" in result.reason
        assert not backend.requests


def test_what_cloudwatch_would_have_to_be_told_is_said_once_and_not_sent() -> None:
    given_, _ = read(
        {
            **KEYS,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://xray.eu-west-1.amazonaws.com",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://logs.eu-west-1.amazonaws.com/v1/logs",
        }
    )
    lines: list[str] = []
    exporters = [
        exporter_for(signal, target, say=lambda _cause, line: lines.append(line))
        for signal, target in (("traces", given_.traces), ("metrics", given_.metrics), ("logs", given_.logs))
    ]
    assert [exporter.configured for exporter in exporters] == [True, False, False]
    assert "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=https://monitoring.REGION.amazonaws.com/v1/metrics" in lines[0]
    assert "x-aws-log-group=GROUP,x-aws-log-stream=STREAM" in lines[1]
    headers = (("x-aws-log-group", Secret("g")), ("x-aws-log-stream", Secret("s")))
    assert exporter_for("logs", given_.logs._replace(headers=headers)).configured
