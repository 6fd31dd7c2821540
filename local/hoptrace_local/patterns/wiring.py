"""Connects a template's functions: they run in the local Lambda, and the emulated AWS hands it their events.

An event source mapping waits for the answer and has its own retries; a topic and a bus hand an event over and leave the
retries to the function's queue. So the emulator knows each function by one of the local Lambda's two doors.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import PATIENT_SHUTDOWN, AsyncConfig, FunctionConfig
from hoptrace_local.patterns.resources import ACCOUNT, Resources
from hoptrace_local.patterns.template import Template, UnknownInTemplate, physical
from hoptrace_local.stage.emulator import CREDENTIALS, REGION, Emulator

MAPPED = {"SQS": "Queue", "Kinesis": "Stream", "DynamoDB": "Stream"}
HANDED_OVER = frozenset({"SNS", "EventBridgeRule"})
#: Seconds between the attempts at an asynchronous event; Lambda waits one minute, then two.
RETRY_DELAYS = (0.2, 0.4)
_PASSED_ON = ("BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "StartingPosition")


class Wiring:
    """The functions of one template and what wakes them."""

    def __init__(self, template: Template, resources: Resources, emulator: Emulator) -> None:
        self._template = template
        self._resources = resources
        self._emulator = emulator
        self.mappings: dict[str, str] = {}
        """UUID of each event source mapping, by the function's logical id."""
        self.windows: set[str] = set()
        """The functions whose mappings wait for their window to close."""

    def config(self, name: str, layer: Path, environment: dict[str, str]) -> FunctionConfig:
        """The function for the local Lambda; `environment` comes before the template's own."""
        properties = self._resources.resolve({**self._template.function(name), "Layers": []})
        variables = properties["Environment"]["Variables"]
        return FunctionConfig(
            name=physical(name),
            code=self._template.path.parent / properties["CodeUri"],
            handler=properties["Handler"],
            layers=(layer,),
            environment={**variables, **CREDENTIALS, **environment},
            timeout=properties["Timeout"],
            shutdown_timeout=PATIENT_SHUTDOWN,
            memory=properties["MemorySize"],
            region=REGION,
            account_id=ACCOUNT,
            max_environments=properties.get("ReservedConcurrentExecutions", 1000),
            recursive_loop=properties.get("RecursiveLoop", "Terminate"),
            asynchronous=_asynchronous(properties),
        )

    def register(self, name: str, host_url: str) -> None:
        """Tell the emulator of a function that the local Lambda at `host_url` runs."""
        kinds = {event["Type"] for event in self._events(name).values()}
        if kinds & HANDED_OVER and kinds & set(MAPPED):
            raise UnknownInTemplate(f"{name} is woken by {sorted(kinds)}; the emulator knows a function by one door")
        door = "event" if kinds & HANDED_OVER else "proxy"
        self._emulator.client("lambda").create_function(
            FunctionName=physical(name),
            Runtime="python3.12",
            Role=f"arn:aws:iam::{ACCOUNT}:role/patterns",
            Handler="app.handler",
            Code={"ZipFile": _empty_zip()},
            # The local Lambda keeps the function's own timeout; this is how long the emulator waits for an answer.
            Timeout=60,
            Environment={"Variables": {"MINISTACK_LAMBDA_PROXY_URL": f"{host_url}/{door}/{physical(name)}"}},
        )

    def connect(self) -> None:
        """Connect every function with what wakes it, and make the state machines."""
        for name in self._template.functions:
            for event_name, event in self._events(name).items():
                self._connect(name, event_name, event["Type"], self._resources.resolve(event["Properties"]))
        for name, properties in self._template.of_type("AWS::Serverless::StateMachine"):
            self._emulator.client("stepfunctions").create_state_machine(
                name=physical(name),
                definition=json.dumps(self._resources.resolve(properties["Definition"])),
                roleArn=f"arn:aws:iam::{ACCOUNT}:role/patterns",
            )

    def close_window(self, name: str) -> None:
        """Let a mapping that collected a batch go on."""
        self._emulator.client("lambda").update_event_source_mapping(UUID=self.mappings[name], Enabled=True)

    def source_of(self, name: str) -> str:
        """The ARN of the queue that a function reads."""
        (event,) = self._events(name).values()
        return str(self._resources.resolve(event["Properties"][MAPPED[event["Type"]]]))

    def _events(self, name: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self._template.function(name).get("Events", {})
        return found

    def _connect(self, name: str, event_name: str, kind: str, properties: dict[str, Any]) -> None:
        arn = self._resources.known[f"{name}.Arn"]
        if kind in MAPPED:
            # The emulator knows no batching windows: it would hand over each record as it comes. A mapping with a
            # window therefore begins disabled, until the window is said to be over.
            window = properties.get("MaximumBatchingWindowInSeconds", 0) > 0
            self.mappings[name] = self._emulator.client("lambda").create_event_source_mapping(
                EventSourceArn=properties[MAPPED[kind]],
                FunctionName=physical(name),
                Enabled=not window,
                **{key: properties[key] for key in _PASSED_ON if key in properties},
            )["UUID"]
            if window:
                self.windows.add(name)
        elif kind == "SNS":
            self._emulator.client("sns").subscribe(TopicArn=properties["Topic"], Protocol="lambda", Endpoint=arn)
        elif kind == "EventBridgeRule":
            self._rule(f"{physical(name)}-{physical(event_name)}", properties, arn)
        else:
            raise UnknownInTemplate(f"{name} is woken by {kind}, which is not built here")

    def _rule(self, rule: str, properties: dict[str, Any], arn: str) -> None:
        events, bus = self._emulator.client("events"), properties.get("EventBusName", "default")
        events.put_rule(Name=rule, EventPattern=json.dumps(properties["Pattern"]), EventBusName=bus)
        answer = events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "function", "Arn": arn}])
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"the rule {rule} got no target: {answer['FailedEntries']}")


def _asynchronous(properties: dict[str, Any]) -> AsyncConfig:
    said = properties.get("EventInvokeConfig", {})
    to = said.get("DestinationConfig", {})
    return AsyncConfig(
        retries=said.get("MaximumRetryAttempts", 2),
        retry_delays=RETRY_DELAYS,
        on_success=to.get("OnSuccess", {}).get("Destination"),
        on_failure=to.get("OnFailure", {}).get("Destination"),
        dead_letter=properties.get("DeadLetterQueue", {}).get("TargetArn"),
    )


def _empty_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", "")
    return content.getvalue()
