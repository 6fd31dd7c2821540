"""Beside other people's tracers and versions of what we share: the function answers the same, and both see all.

Each row is a function with packages of its own, really installed, run without the layer and with it.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from hoptrace_local.sink import OtlpSink
from tests.support import moto, pythons
from tests.support.functions import function

from .backend import Backend
from .packages import CACHE, THIS, installed, link, versions
from .rows import ROWS, Row
from .theirs import told

# Sampled, so that a tool which obeys X-Ray's decision records.
SAMPLED = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
Message = tuple[str, dict[str, Any]]

APPS = Path(__file__).with_name("apps")


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto.running() as address:
        yield address


@dataclass
class Run:
    answers: list[Any]
    theirs: dict[str, Any]
    messages: dict[str, list[Message]]
    ours: list[str]


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """What each row that passed was made of and came to; written to `build/clash/matrix.md`."""
    lines: list[str] = []
    yield lines
    head = ["| row | Python | versions | our spans | SQS carries | SNS carries | theirs told | off |", "|" + "---|" * 8]
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "matrix.md").write_text("\n".join([*head, *sorted(lines)]) + "\n")


def _run(row: Row, folder: Path, python: Path, packages: Path, aws: str, endpoint: str | None) -> Run:
    link(packages, folder / "task")
    queues, topic = _queues(aws)
    sources = {"app.py": (APPS / row.app).read_text(), "frame.py": (APPS / "frame.py").read_text()}
    with Backend() as backend:
        environment = {"AWS": aws, "QUEUE": queues["jobs"], "TOPIC": topic, "THEIRS": backend.address}
        if endpoint:
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        with function(
            folder,
            sources,
            handler=row.handler,
            layer=endpoint is not None,
            environment={**environment, **row.environment},
            python=python,
            timeout=30.0,
        ) as desk:
            answers = [
                desk.invoke(event, request_id=f"{n:036}", trace_header=SAMPLED) for n, event in enumerate(row.events)
            ]
            asked = desk.invoke({"do": "tell"}) if "tell" in row.theirs else None
        lines = list(desk.lines)
        theirs = told(row.theirs, asked, backend.posts, lines)
    messages = {name: _taken(aws, queue) for name, queue in queues.items()}
    # What is told may hold places and ports of this run.
    answers, theirs = json.loads(
        json.dumps([answers, theirs]).replace(f"{folder}/task/", "/task/").replace(backend.address, "http://theirs")
    )
    return Run(answers, theirs, messages, _about_us(lines))


def _about_us(lines: list[str]) -> list[str]:
    """What we log, not what another tool traces of our imports."""
    return [line for line in lines if "hoptrace" in line and not line.startswith('{"traces"')]


def _client(service: str, aws: str) -> Any:
    make: Any = boto3.client
    return make(service, endpoint_url=aws, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")


def _queues(aws: str) -> tuple[dict[str, str], str]:
    """A queue for the function's messages, and one behind its topic."""
    sqs, sns = _client("sqs", aws), _client("sns", aws)
    queues = {name: str(sqs.create_queue(QueueName=name)["QueueUrl"]) for name in ("jobs", "news")}
    arn = sqs.get_queue_attributes(QueueUrl=queues["news"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = str(sns.create_topic(Name="news")["TopicArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return queues, topic


def _taken(aws: str, queue: str) -> list[Message]:
    """Body and attributes of all that lies in a queue; taken out."""
    sqs, found = _client("sqs", aws), []
    while more := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        for message in more:
            found.append(_opened(message["Body"], message.get("MessageAttributes", {})))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def _cases() -> Iterator[Any]:
    for version in pythons.VERSIONS:
        for row in ROWS:
            if version == THIS or row.matters:
                quick = row.quick and version == THIS
                yield pytest.param(row, version, id=f"{row.name}-{version}", marks=() if quick else pytest.mark.soak)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("row", "version"), list(_cases()))
def test_a_function_with_packages_of_its_own(
    row: Row, version: str, aws: str, table: list[str], tmp_path: Path
) -> None:
    python = Path(sys.executable) if version == THIS else pythons.located(version)
    if python is None:
        pytest.skip(f"python{version} is not installed")
    packages = installed(row.name, ("boto3", *row.packages), version, python)
    bare = _run(row, tmp_path / "bare", python, packages, aws, None)
    with OtlpSink() as sink:
        attached = _run(row, tmp_path / "attached", python, packages, aws, sink.endpoint)
        spans = sink.spans

    assert attached.answers == bare.answers
    for module, copy in _copies(attached.answers).items():
        assert copy is None or copy[0].startswith("/task/"), module

    assert attached.theirs == bare.theirs
    assert not row.theirs or all(attached.theirs.values()), "the user's own tool told nothing: the row proves nothing"
    for queue, messages in attached.messages.items():
        assert messages, queue
        for (body, attributes), (bare_body, bare_attributes) in zip(messages, bare.messages[queue], strict=True):
            assert body == bare_body
            assert set(bare_attributes) <= set(attributes)

    assert attached.ours == []
    asked = 1 if "tell" in row.theirs else 0
    expected = Counter(row.spans) + Counter({"f": asked})
    assert Counter(span.name for span in spans) == expected
    known = {span.span_id: span for span in spans}
    for span in spans:
        if span.name.startswith(("send ", "STS.", "mine", "SQS.", "news ")):
            around = known[span.parent_id]
            while around.name != "f":  # in the course of what their own instrumentation records
                around = known[around.parent_id]
            assert span.trace_id == around.trace_id
    for queue, whose in (("jobs", row.queue), ("news", row.topic)):
        sent = {f"00-{span.trace_id}-{span.span_id}-01" for span in spans if span.name == f"send {queue}"}
        carried = {attributes["traceparent"] for _, attributes in attached.messages[queue]}
        assert ("ours" if carried == sent else "theirs") == whose, (queue, sent, carried)
    tools = ", ".join(f"{way} {len(what)}" for way, what in attached.theirs.items())
    carries = [f"{_names(attached, queue)} ({whose})" for queue, whose in (("jobs", row.queue), ("news", row.topic))]
    cells = [row.name, version, versions(packages), str(len(spans)), *carries, tools, row.off]
    table.append(f"| {' | '.join(cells)} |")


def _names(run: Run, queue: str) -> str:
    return ", ".join(sorted({name for _, attributes in run.messages[queue] for name in attributes}))


def _opened(body: str, attributes: dict[str, Any]) -> Message:
    """Out of a topic's envelope, if it came in one."""
    if not body.startswith("{"):
        return body, {name: attribute.get("StringValue") for name, attribute in attributes.items()}
    envelope = json.loads(body)
    inside = envelope.get("MessageAttributes", {})
    return envelope["Message"], {name: attribute["Value"] for name, attribute in inside.items()}


def _copies(answers: list[Any]) -> dict[str, Any]:
    return next(copies for answer in answers for copies in _members(answer, "copies"))


def _members(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _members(item, name)
