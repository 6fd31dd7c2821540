"""Makes a template's stores in the emulated AWS: queues, topics, streams, tables, buses, with the names they have here.

Everything gets an ARN before anything is made, since resources speak of each other in both directions.
"""

import json
from collections.abc import Callable
from typing import Any

from hoptrace_local.patterns.template import Template, UnknownInTemplate, physical, resolved
from hoptrace_local.stage.emulator import REGION, Emulator

ACCOUNT = "000000000000"
# What AWS needs and the emulated one, which refuses nobody, does not.
_WITHOUT_MEANING_HERE = frozenset({"AWS::SQS::QueuePolicy", "AWS::IAM::Role", "AWS::Lambda::Permission"})
_ARNS = {
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::Kinesis::Stream": "kinesis:{region}:{account}:stream/{name}",
    "AWS::Events::EventBus": "events:{region}:{account}:event-bus/{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Serverless::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Serverless::StateMachine": "states:{region}:{account}:stateMachine:{name}",
}
_NAMES = {"AWS::SQS::Queue": "QueueName", "AWS::SNS::Topic": "TopicName", "AWS::Serverless::StateMachine": "Name"}


class Resources:
    """What `!Ref` and `!GetAtt` of one template mean in one emulated AWS.

    Raises:
        UnknownInTemplate: the template has a resource that is not built here.
    """

    def __init__(self, template: Template, emulator: Emulator) -> None:
        self._template = template
        self._emulator = emulator
        self.known: dict[str, Any] = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws"}
        # The parameters of a deployment: here the layer and the endpoint are the local ones.
        self.known |= dict.fromkeys(template.parameters, "")
        for name, resource in template.resources.items():
            self._name(name, resource["Type"])

    def resolve(self, value: Any) -> Any:
        """The value with what it refers to."""
        return resolved(value, self.known)

    def make(self) -> None:
        """Make every store."""
        makers: dict[str, Callable[[str, dict[str, Any]], None]] = {
            "AWS::SQS::Queue": self._queue,
            "AWS::SNS::Topic": self._topic,
            "AWS::Kinesis::Stream": self._stream,
            "AWS::DynamoDB::Table": self._table,
            "AWS::Events::EventBus": self._bus,
            "AWS::SNS::Subscription": self._subscription,
        }
        for kind, make in makers.items():
            for name, properties in self._template.of_type(kind):
                make(name, properties)
        for name, properties in self._template.of_type("AWS::SQS::Queue"):
            self._redrive_policy(name, properties)

    def _name(self, name: str, kind: str) -> None:
        if kind in _WITHOUT_MEANING_HERE or kind == "AWS::SNS::Subscription":
            return
        if kind not in _ARNS:
            raise UnknownInTemplate(f"{self._template.path}: {name} is of the type {kind}, which is not built here")
        arn = "arn:aws:" + _ARNS[kind].format(region=REGION, account=ACCOUNT, name=physical(name))
        refers_by_arn = kind in {"AWS::SNS::Topic", "AWS::Serverless::StateMachine"}
        self.known[name] = arn if refers_by_arn else physical(name)
        self.known[f"{name}.Arn"] = arn
        if kind in _NAMES:
            self.known[f"{name}.{_NAMES[kind]}"] = physical(name)

    def _queue(self, name: str, properties: dict[str, Any]) -> None:
        attributes = {key: str(properties[key]) for key in ("VisibilityTimeout", "DelaySeconds") if key in properties}
        made = self._emulator.client("sqs").create_queue(QueueName=physical(name), Attributes=attributes)
        self.known[name] = made["QueueUrl"]

    def _redrive_policy(self, name: str, properties: dict[str, Any]) -> None:
        if "RedrivePolicy" in properties:
            self._emulator.client("sqs").set_queue_attributes(
                QueueUrl=self.known[name],
                Attributes={"RedrivePolicy": json.dumps(self.resolve(properties["RedrivePolicy"]))},
            )

    def _topic(self, name: str, _properties: dict[str, Any]) -> None:
        self._emulator.client("sns").create_topic(Name=physical(name))

    def _subscription(self, _name: str, properties: dict[str, Any]) -> None:
        found = self.resolve(properties)
        attributes = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in found.items()
            if key in {"RawMessageDelivery", "FilterPolicy"}
        }
        self._emulator.client("sns").subscribe(
            TopicArn=found["TopicArn"], Protocol=found["Protocol"], Endpoint=found["Endpoint"], Attributes=attributes
        )

    def _stream(self, name: str, properties: dict[str, Any]) -> None:
        self._emulator.client("kinesis").create_stream(
            StreamName=physical(name), ShardCount=properties.get("ShardCount", 1)
        )

    def _bus(self, name: str, _properties: dict[str, Any]) -> None:
        self._emulator.client("events").create_event_bus(Name=physical(name))

    def _table(self, name: str, properties: dict[str, Any]) -> None:
        wanted = {key: value for key, value in properties.items() if key != "StreamSpecification"}
        if "StreamSpecification" in properties:
            wanted["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
        made = self._emulator.client("dynamodb").create_table(TableName=physical(name), **wanted)
        self.known[f"{name}.StreamArn"] = made["TableDescription"].get("LatestStreamArn")
