"""Headers that refer to secrets, read from an emulator of Secrets Manager and SSM."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.exceptions
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hoptrace_collector.aws.references import Reference, Resolver, Unresolved, parse_reference
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.settings import read

from ..support import moto
from .support import Backend, Collector, Lambda, Posted, begin, ended, spans_of, tracer_bell, write

ACCOUNT = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
KEYS = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_REGION": "eu-west-1"}
BODY = bytes(ExportTraceServiceRequest().SerializeToString())


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto.running() as address:
        # It loads all of AWS's own parameters when it is first asked for one.
        client(address, "ssm").put_parameter(Name="/first", Value="x", Type="String")
        with contextlib.suppress(botocore.exceptions.ClientError):
            client(address, "ssm").get_parameter(Name="/nowhere")
        yield address


def client(aws: str, service: str):
    return boto3.client(
        service, endpoint_url=aws, region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK"
    )


class Rig:
    """An exporter with `headers` before a backend, and what it tells the user."""

    def __init__(self, backend: Backend, headers: str, **env: str) -> None:
        self.lines: list[str] = []
        settings, complaints = read(
            {
                **KEYS,
                "OTEL_EXPORTER_OTLP_TIMEOUT": "20000",
                "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
                "OTEL_EXPORTER_OTLP_HEADERS": headers,
                **env,
            }
        )
        assert not complaints
        self.exporter = exporter_for("traces", settings.traces, say=self.say)
        self.causes: set[str] = set()

    def say(self, cause: str, line: str) -> None:
        if cause not in self.causes:
            self.causes.add(cause)
            self.lines.append(line)

    def send(self, seconds: float = 20.0) -> str:
        return self.exporter.send(BODY, time.monotonic() + seconds).kind


def test_secrets_and_parameters_become_headers(aws: str) -> None:
    secrets, ssm = client(aws, "secretsmanager"), client(aws, "ssm")
    plain = secrets.create_secret(Name="plain", SecretString="a-key\n")["ARN"]
    of_json = secrets.create_secret(Name="json", SecretString=json.dumps({"key": "b-key", "n": 7}))["ARN"]
    binary = secrets.create_secret(Name="binary", SecretBinary=b"c-key")["ARN"]
    ssm.put_parameter(Name="/backend/token", Value="d-key", Type="SecureString")
    parameter = ssm.get_parameter(Name="/backend/token")["Parameter"]["ARN"]
    headers = (
        f"plain={plain},of-json={of_json}#key,number={of_json}#n,binary={binary},path=ssm:/backend/token,"
        f"authorization=Bearer%20{parameter},other=x"
    )
    with Backend() as backend:
        rig = Rig(backend, headers, AWS_ENDPOINT_URL=aws)
        assert [rig.send(), rig.send()] == ["sent", "sent"]
        assert not rig.lines
        for posted in backend.requests:
            assert {
                name: posted.headers[name] for name in ("plain", "of-json", "number", "binary", "path", "other")
            } == {
                "plain": "a-key",
                "of-json": "b-key",
                "number": "7",
                "binary": "c-key",
                "path": "d-key",
                "other": "x",
            }
            assert posted.headers["authorization"] == "Bearer d-key"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (ACCOUNT + "nowhere-AbCdEf", "there is no arn:aws:secretsmanager:eu-west-1:123456789012:secret:nowhere-AbCdEf"),
        ("ssm:/nowhere", "there is no /nowhere"),
        ("PLAIN#nokey", "is no JSON object with a text under 'nokey'"),
    ],
)
def test_what_is_not_there_is_said_once_and_everything_is_kept(aws: str, reference: str, said: str) -> None:
    if reference.startswith("PLAIN"):
        name = f"t{time.time_ns()}"
        reference = client(aws, "secretsmanager").create_secret(Name=name, SecretString="t0p")["ARN"] + "#nokey"
    with Backend() as backend:
        rig = Rig(backend, f"api-key={reference}", AWS_ENDPOINT_URL=aws)
        assert [rig.send(), rig.send()] == ["retry", "retry"]
        assert not backend.requests, "the reference itself is never sent"
        (line,) = rig.lines
        assert said in line
        assert "the header api-key is not known yet" in line
        assert "t0p" not in line


def test_a_secret_that_appears_later_is_found_and_what_was_kept_is_sent(aws: str) -> None:
    with Backend() as backend:
        rig = Rig(backend, "api-key=ssm:/late", AWS_ENDPOINT_URL_SSM=aws)
        assert rig.send() == "retry"
        client(aws, "ssm").put_parameter(Name="/late", Value="now", Type="String")
        assert rig.send() == "sent"
        assert backend.requests[0].headers["api-key"] == "now"


def test_a_secret_that_was_rotated_is_read_again_when_the_backend_refuses_the_old_one(aws: str) -> None:
    secrets = client(aws, "secretsmanager")
    arn = secrets.create_secret(Name="rotated", SecretString="old")["ARN"]
    wanted = ["old"]

    def picky(posted: Posted) -> tuple[int, dict[str, str], bytes]:
        return (200 if posted.headers["api-key"] == wanted[0] else 401, {}, b"")

    with Backend(picky) as backend:
        rig = Rig(backend, f"api-key={arn}", AWS_ENDPOINT_URL_SECRETS_MANAGER=aws)
        assert rig.send() == "sent"
        secrets.put_secret_value(SecretId=arn, SecretString="new")
        wanted[0] = "new"
        assert rig.send() == "sent"
        assert [posted.headers["api-key"] for posted in backend.requests] == ["old", "old", "new"]
        wanted[0] = "another"
        assert rig.send() == "refused", "the same secret again is no reason to ask again"
        assert len(backend.requests) == 4


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (ACCOUNT + "x-AbCdEf", f"the role needs the permission secretsmanager:GetSecretValue on {ACCOUNT}x-AbCdEf ("),
        (
            "arn:aws:ssm:eu-west-1:123456789012:parameter/p",
            "the role needs the permission ssm:GetParameter on arn:aws:ssm:eu-west-1:123456789012:parameter/p (",
        ),
    ],
)
def test_a_missing_permission_is_named_with_what_it_is_for(reference: str, said: str) -> None:
    refusal = b'{"__type":"AccessDeniedException","Message":"User: r is not authorized"}'
    with Backend((400, {}, refusal)) as service, Backend() as backend:
        rig = Rig(backend, f"api-key={reference}", AWS_ENDPOINT_URL=service.url)
        assert rig.send() == "retry"
        assert said in rig.lines[0]
        assert service.requests[0].headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AK/")
        assert not backend.requests


def test_a_service_that_does_not_answer_takes_no_longer_than_the_flush_may() -> None:
    with Backend(30.0) as service, Backend() as backend:
        rig = Rig(backend, "api-key=ssm:/p", AWS_ENDPOINT_URL=service.url)
        started = time.monotonic()
        assert rig.send(0.3) == "retry"
        assert time.monotonic() - started < 0.8
        assert not backend.requests


def test_a_secret_is_kept_for_an_hour_and_the_old_one_is_used_when_it_cannot_be_read_again() -> None:
    class Service:
        asked, value = 0, "one"

        def call(self, target: str, value: object, deadline: float):
            from hoptrace_collector.aws.api import Answer

            self.asked += 1
            return Answer(200, {"SecretString": self.value}) if self.value else Answer(500, {}, "InternalFailure", "m")

    service, now = Service(), [0.0]
    resolver = Resolver(lambda _service, _region: service, now=lambda: now[0])  # type: ignore[arg-type,return-value]
    reference = parse_reference(ACCOUNT + "x")
    assert reference is not None
    assert [resolver.resolve(reference, 0.0) for _ in range(3)] == ["one"] * 3
    assert service.asked == 1
    now[0], service.value = 3601.0, "two"
    assert resolver.resolve(reference, 0.0) == "two"
    now[0], service.value = 7300.0, ""
    assert [resolver.resolve(reference, 0.0) for _ in range(3)] == ["two"] * 3
    assert service.asked == 3, "not asked again at once"
    other = parse_reference(ACCOUNT + "y")
    assert other is not None
    with pytest.raises(Unresolved, match="InternalFailure: m"):
        resolver.resolve(other, 0.0)


@pytest.mark.parametrize(
    "value", ["x", "arn:aws:s3:::bucket", "arn:", "ssm:name", "arn:aws:ssm:::parameter/x", "a arn:b"]
)
def test_what_is_no_reference_is_a_value(value: str) -> None:
    assert parse_reference(value) is None


def test_a_reference_says_where_and_what() -> None:
    assert parse_reference("Bearer " + ACCOUNT + "n-AbCdEf#k") == Reference(
        "Bearer ", "secretsmanager", ACCOUNT + "n-AbCdEf", "eu-west-1", "k"
    )
    assert parse_reference("ssm:/a/b") == Reference("", "ssm", "/a/b", "")
    china = parse_reference("arn:aws-cn:ssm:cn-north-1:1:parameter/a")
    assert china is not None
    assert (china.region, china.name) == ("cn-north-1", "arn:aws-cn:ssm:cn-north-1:1:parameter/a")


@pytest.mark.parametrize("secret", ["", "  ", "two\nlines", "snow ☃"])
def test_a_secret_that_no_header_can_hold_is_not_sent(aws: str, secret: str) -> None:
    value = {"SecretString": secret}
    with Backend((200, {}, json.dumps(value).encode())) as service, Backend() as backend:
        rig = Rig(backend, f"api-key={ACCOUNT}x", AWS_ENDPOINT_URL=service.url)
        assert rig.send() == "retry"
        assert "is empty, or holds a character that a header cannot have" in rig.lines[0]
        assert not backend.requests


def test_a_real_collector_keeps_everything_until_it_may_read_the_secret(tmp_path: Path) -> None:
    refusal = (400, {}, b'{"__type":"AccessDeniedException","Message":"not yet"}')
    allowed = (200, {}, b'{"Parameter":{"Value":"s3cret"}}')
    run_dir = tmp_path / "run"
    with (
        Lambda() as host,
        Backend(refusal, allowed) as service,
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(
            host,
            run_dir,
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
            OTEL_EXPORTER_OTLP_HEADERS="api-key=ssm:/key",
            OTEL_METRICS_EXPORTER="none",
            AWS_ENDPOINT_URL=service.url,
            AWS_ACCESS_KEY_ID="AK",
            AWS_SECRET_ACCESS_KEY="SK",
        ) as collector,
    ):
        host.wait_for_next()
        assert not service.requests, "nothing is looked up before there is something to send"
        host.invoke("r1")
        write(run_dir, begin(1, "r1"), ended(1, "r1"))
        ring()
        host.wait_for_next()
        assert (len(service.requests), len(backend.requests)) == (1, 0)
        host.shut_down()
        log = collector.end()
        assert [span.name for span in spans_of(backend)] == ["shipping"]
        assert backend.requests[0].headers["api-key"] == "s3cret"
    assert log.count("the role needs the permission ssm:GetParameter on /key (not yet)") == 1
    assert "s3cret" not in log
