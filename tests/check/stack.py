"""The stack of examples/check on the desk: its functions and hops as in the template, in an emulated AWS."""

import contextlib
import io
import json
import queue
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hoptrace_local.lambda_host import AsyncConfig, AwsEndpoint, FunctionConfig, LambdaHost, SqsEventSource
from hoptrace_local.stage.emulator import CREDENTIALS, Emulator
from tests.support.parts import REPOSITORY

CHECK = REPOSITORY / "examples" / "check"
ACCOUNT = "000000000000"
PROBES: dict[str, dict[str, Any]] = {
    "Plain": {},
    "Late": {"environment": {"CHECK_LATE": "0.6"}},
    "Refusing": {"environment": {"CHECK_REFUSE": "2"}},
    "Raising": {},
    "TimingOut": {"environment": {"CHECK_SIGTERM": "1"}, "timeout": 1.0},
    "Exiting": {},
    "Filling": {"memory": 128},
    "Quiet": {},
    "WithPath": {"environment": {"PYTHONPATH": "/nowhere"}},
    "Ending": {"environment": {"CHECK_SIGTERM": "1"}},
    "Snapped": {"environment": {"CHECK_SNAPSHOT": "1"}, "initialization_type": "snap-start"},
}


@dataclass
class Stack:
    """What is deployed on the desk."""

    name: str
    host: LambdaHost
    names: list[str]


@contextlib.contextmanager
def deployed(folder: Path) -> Iterator[Stack]:
    """Deploy it; while it stands, boto3's default settings lead to it."""
    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator(folder / "aws"))
        emulator.start()
        clients = {name: emulator.client(name) for name in ("sqs", "sns", "events", "dynamodb", "logs")}
        region = CREDENTIALS["AWS_REGION"]
        bus_arn = f"arn:aws:events:{region}:{ACCOUNT}:event-bus/check-bus"
        log = _Log(clients["logs"])
        stack.callback(log.close)
        host = stack.enter_context(
            LambdaHost([], on_log=log.put, state_dir=folder / "lambda", aws=AwsEndpoint(emulator.endpoint, region))
        )
        for name, more in PROBES.items():
            log.group(name)
            config = {"timeout": 15.0, "memory": 256, **more}
            host.add(
                FunctionConfig(name, CHECK / "probe", "app.handler", layers=(CHECK / "layer",), region=region, **config)
            )
        outputs = {name: name for name in PROBES}
        outputs |= {"Failing": "Failing", "Table": "check-table", "Bus": "check-bus", "BusArn": bus_arn}
        front = f"http://127.0.0.1:{host.serve()}"
        _hops(host, emulator, clients, outputs, front)
        made: Any = emulator.client("cloudformation")
        template = {
            "Resources": {"Q": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        made.create_stack(StackName="check-stack", TemplateBody=json.dumps(template))
        variables = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_ENDPOINT_URL_LAMBDA": front,
            "AWS_MAX_ATTEMPTS": "2",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            for name in ("AWS_PROFILE", "_X_AMZN_TRACE_ID", "AWS_LAMBDA_FUNCTION_NAME"):
                patch.delenv(name, raising=False)
            yield Stack("check-stack", host, ["check-stack", *outputs.values()])


def _hops(host: LambdaHost, emulator: Emulator, clients: dict[str, Any], outputs: dict[str, str], front: str) -> None:
    region = CREDENTIALS["AWS_REGION"]
    sqs, sns, events = clients["sqs"], clients["sns"], clients["events"]
    clients["dynamodb"].create_table(
        TableName="check-table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("consumer", "id")],
        KeySchema=[{"AttributeName": "consumer", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
    )
    queues, arns = {}, {}
    for name in ("queue", "topic", "bus_queue", "destination"):
        queues[name] = sqs.create_queue(QueueName=f"check-{name}")["QueueUrl"]
        asked = sqs.get_queue_attributes(QueueUrl=queues[name], AttributeNames=["QueueArn"])
        arns[name] = asked["Attributes"]["QueueArn"]
    outputs["Queue"] = queues["queue"]
    outputs["Topic"] = sns.create_topic(Name="check-topic")["TopicArn"]
    sns.subscribe(TopicArn=outputs["Topic"], Protocol="sqs", Endpoint=arns["topic"])
    events.create_event_bus(Name="check-bus")

    environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator.endpoint, "CHECK_TABLE": "check-table"}
    for consumer in ("queue", "topic", "bus_queue", "destination", "bus", "failing"):
        name = "Failing" if consumer == "failing" else f"From-{consumer}"
        asynchronous = AsyncConfig(retries=1, retry_delays=(0.2,), on_failure=outputs["BusArn"])
        host.add(
            FunctionConfig(
                name,
                CHECK / "consumer",
                "app.handler",
                environment={**environment, "CHECK_CONSUMER": consumer},
                timeout=15.0,
                region=region,
                asynchronous=asynchronous if consumer == "failing" else AsyncConfig(),
            )
        )
        if consumer in arns:
            host.add_event_source(name, SqsEventSource(arns[consumer], batch_size=1))
    door = _function(emulator, f"{front}/event/From-bus")
    rules = {
        "check-alerts": ({"source": ["hoptrace.check"]}, [("queue", arns["bus_queue"]), ("function", door)]),
        "check-destination": (
            {"detail-type": [{"prefix": "Lambda Function Invocation Result"}]},
            [("queue", arns["destination"])],
        ),
    }
    for rule, (pattern, targets) in rules.items():
        events.put_rule(Name=rule, EventBusName="check-bus", EventPattern=json.dumps(pattern))
        wanted = [{"Id": name, "Arn": arn} for name, arn in targets]
        events.put_targets(Rule=rule, EventBusName="check-bus", Targets=wanted)


def _function(emulator: Emulator, url: str) -> str:
    """A function of the emulator that hands its events on to `url`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "")
    made = emulator.client("lambda").create_function(
        FunctionName="From-bus",
        Runtime="python3.12",
        Role=f"arn:aws:iam::{ACCOUNT}:role/r",
        Handler="app.handler",
        Code={"ZipFile": buffer.getvalue()},
        Environment={"Variables": {"MINISTACK_LAMBDA_PROXY_URL": url}},
    )
    return str(made["FunctionArn"])


class _Log:
    """Puts what the probes say into the emulated CloudWatch Logs; the host's own thread must not wait for that."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lines: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def group(self, function: str) -> None:
        self._client.create_log_group(logGroupName=f"/aws/lambda/{function}")
        self._client.create_log_stream(logGroupName=f"/aws/lambda/{function}", logStreamName="s")

    def put(self, function: str, line: str) -> None:
        if "HOPTRACE-CHECK" in line:
            self._lines.put((function, line))

    def close(self) -> None:
        self._lines.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (item := self._lines.get()) is not None:
            function, line = item
            event = {"timestamp": int(time.time() * 1000), "message": line}
            with contextlib.suppress(Exception):  # the emulator may end before the last line
                self._client.put_log_events(
                    logGroupName=f"/aws/lambda/{function}", logStreamName="s", logEvents=[event]
                )
