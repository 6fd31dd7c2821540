"""The example: a collector puts on a stream, an emulator's Kinesis invokes the consumer, the backend has it all."""

import re
import time
from pathlib import Path
from typing import Any

import yaml

from hoptrace_collector.counters import Counters
from hoptrace_collector.gateway.kinesis import Fleet
from hoptrace_collector.gateway.settings import read_gateway
from hoptrace_collector.settings import read
from tests.collector.support import Backend, Collector, Lambda, begin, ended, inner, spans_of, tracer_bell, write
from tests.support.parts import REPOSITORY
from tests.triggers.real_aws import RealAws

from .test_kinesis import ACCOUNT


class Loader(yaml.SafeLoader):
    """Reads `!Ref` and the like as what stands behind them."""


Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def template() -> dict[str, Any]:
    text = (REPOSITORY / "examples" / "fleet" / "template.yaml").read_text("utf-8")
    return dict(yaml.load(text, Loader)["Resources"])


def test_what_a_functions_collector_puts_on_the_stream_arrives_at_the_backend(tmp_path: Path) -> None:
    resources = template()
    mapping = resources["Consumer"]["Properties"]["Events"]["Fleet"]["Properties"]
    endpoint = resources["Shipping"]["Properties"]["Environment"]["Variables"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert endpoint == "kinesis:${Fleet}"
    aws = RealAws(tmp_path)
    try:
        client = aws.client("kinesis")
        client.create_stream(StreamName="fleet", ShardCount=resources["Fleet"]["Properties"].get("Shards", 2))
        with Backend() as backend:
            settings, _ = read({**ACCOUNT, "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url})
            fleet = Fleet(settings, read_gateway([], {}), Counters())
            answers: list[dict[str, Any]] = []

            def consume(event: dict[str, Any]) -> dict[str, Any]:
                answers.append(fleet.consumer.handle(event, time.monotonic() + 5))
                return answers[-1]

            aws.function("consumer", consume)
            arn = client.describe_stream(StreamName="fleet")["StreamDescription"]["StreamARN"]
            aws.client("lambda").create_event_source_mapping(
                EventSourceArn=arn,
                FunctionName="consumer",
                StartingPosition=mapping["StartingPosition"],
                BatchSize=mapping["BatchSize"],
                FunctionResponseTypes=mapping["FunctionResponseTypes"],
            )
            _invoke_a_function(tmp_path / "run", endpoint.replace("${Fleet}", "fleet"), aws.url)
            end = time.monotonic() + 20
            while len(spans_of(backend)) < 2:
                assert time.monotonic() < end, "the spans did not arrive"
                time.sleep(0.05)
            assert {span.name for span in spans_of(backend)} == {"shipping", "SQS.SendMessage"}
            assert answers
            assert all(answer == {"batchItemFailures": []} for answer in answers)
            fleet.close()
    finally:
        aws.close()


def _invoke_a_function(run: Path, endpoint: str, url: str) -> None:
    """One invocation beside a collector that is started as the layer starts it."""
    env = {**ACCOUNT, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "AWS_ENDPOINT_URL_KINESIS": url}
    with Lambda() as host, tracer_bell(run) as ring, Collector(host, run, **env) as collector:
        host.wait_for_next()
        host.invoke()
        write(run, begin(1), inner(2), ended(1))
        ring()
        host.wait_for_next()
        host.shut_down()
        log = collector.end()
        assert "Kinesis" not in log


def test_the_consumer_of_the_example_has_what_the_page_says() -> None:
    consumer = template()["Consumer"]["Properties"]
    module, _, name = consumer["Handler"].rpartition(".")
    assert (module, name) == ("hoptrace_collector.gateway.kinesis", "handler")
    events = consumer["Events"]["Fleet"]["Properties"]
    assert events["TumblingWindowInSeconds"] == 60
    assert events["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert consumer["Policies"][0]["Statement"]["Action"] == "kinesis:PutRecords"
    page = (REPOSITORY / "docs" / "gateway.md").read_text("utf-8")
    assert re.search(r"`TumblingWindowInSeconds: 60`", page)
    assert consumer["Handler"] in page
