"""Kinesis, Firehose, DynamoDB, S3, IoT and Step Functions, which carry the user's data and nothing beside it."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, ClassVar

from tests.contract.lab import Lab, Sent
from tests.contract.ways import CONTEXT, NOTHING, POINTER, Message, Way

ROLE = "arn:aws:iam::000000000000:role/r"

# Bytes that are one JSON object, and bytes that are something else.
JSON_BYTES = (
    b"{}",
    b'{"order": 1}',
    b' {"b": 1.50,\n "a": "\\u00fc", "b": 1e400} \n',
    '{"\u00fc": "\U0001f600"}'.encode(),
    b'{"deep": {"list": [1, [2, {"x": null}]]}}',
)
OTHER_BYTES = (
    b"plain",
    b"\x00\xff\xfe\x80",
    b"[1, 2]",
    b'{"a": 1}{"b": 2}',
    b'{"a": 1',
    b'{"a": "\xff"}',
    b"null",
    b"\x1f\x8b\x08\x00" + bytes(20),
)

_OURS = re.compile(rb',?"_hoptrace":\{[^{}]*\}')


def without_key(data: bytes) -> bytes:
    """Data with our member cut out of its text again: what is left must be what was sent, to the byte."""
    return _OURS.sub(b"", data)


class StreamRecord(Way):
    """A record of a Kinesis stream."""

    carrier, service, operation = "kinesis", "kinesis", "PutRecord"
    opt_in = True
    numbered_by_aws = True
    bodies = (*JSON_BYTES, *OTHER_BYTES)

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.stream = lab.name("stream")
        lab.aws.client("kinesis").create_stream(StreamName=self.stream, ShardCount=1)
        lab.aws.client("lambda").create_event_source_mapping(
            EventSourceArn=f"arn:aws:kinesis:us-east-1:000000000000:stream/{self.stream}",
            FunctionName=self.function,
            StartingPosition="TRIM_HORIZON",
            BatchSize=100,
        )

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"StreamName": self.stream, "PartitionKey": "p", "Data": message.body}

    def joined(self, message: Message) -> str:
        return CONTEXT if message.body in JSON_BYTES or message.body.startswith(b'{"number"') else POINTER

    def numbered(self, number: int) -> Any:
        return b'{"number": %d}' % number

    def read(self, event: Any) -> list[Message]:
        return [Message(without_key(base64.b64decode(record["kinesis"]["data"]))) for record in event["Records"]]


class StreamBatch(StreamRecord):
    """Several records of a Kinesis stream."""

    operation = "PutRecords"
    most = 10

    def params(self, messages: list[Message]) -> dict[str, Any]:
        return {
            "StreamName": self.stream,
            "Records": [{"Data": message.body, "PartitionKey": "p"} for message in messages],
        }


class Delivered(Way):
    """A record of a Firehose stream that a function transforms."""

    carrier, service, operation = "firehose", "firehose", "PutRecord"
    opt_in = True
    bodies = (*JSON_BYTES, b'{"with": "line feed"}\n', *OTHER_BYTES)

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, _passed)
        self.stream, bucket = lab.name("delivery"), lab.name("delivered")
        lab.aws.client("s3").create_bucket(Bucket=bucket)
        processor = {"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": self.arn}]}
        lab.aws.client("firehose").create_delivery_stream(
            DeliveryStreamName=self.stream,
            ExtendedS3DestinationConfiguration={
                "RoleARN": ROLE,
                "BucketARN": f"arn:aws:s3:::{bucket}",
                "ProcessingConfiguration": {"Enabled": True, "Processors": [processor]},
            },
        )

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"DeliveryStreamName": self.stream, "Record": {"Data": message.body}}

    def joined(self, message: Message) -> str:
        return NOTHING if message.body in OTHER_BYTES else CONTEXT

    def numbered(self, number: int) -> Any:
        return b'{"number": %d}' % number

    def read(self, event: Any) -> list[Message]:
        return [Message(without_key(base64.b64decode(record["data"]))) for record in event["records"]]


class DeliveredBatch(Delivered):
    """Several records of a Firehose stream."""

    operation = "PutRecordBatch"
    most = 10

    def params(self, messages: list[Message]) -> dict[str, Any]:
        return {"DeliveryStreamName": self.stream, "Records": [{"Data": message.body} for message in messages]}


def _passed(event: Any) -> Any:
    """What a transformation answers that changes nothing."""
    return {
        "records": [
            {"recordId": record["recordId"], "result": "Ok", "data": record["data"]} for record in event["records"]
        ]
    }


class Item(Way):
    """An item of a table whose stream a function reads."""

    carrier, service, operation = "dynamodb", "dynamodb", "PutItem"
    opt_in = True
    numbered_by_aws = True
    bodies = (
        {"id": {"S": "plain"}},
        {"id": {"S": "\u00fc\n\\"}, "n": {"N": "1.5"}, "yes": {"BOOL": True}, "none": {"NULL": True}},
        {"id": {"S": "nested"}, "m": {"M": {"l": {"L": [{"S": "a"}, {"N": "2"}]}}}, "set": {"SS": ["a", "b"]}},
        {"id": {"S": "binary"}, "b": {"B": b"\x00\xff"}},
    )

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.table = lab.name("table")
        made = lab.aws.client("dynamodb").create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.more = {"HOPTRACE_DYNAMODB_KEYS": f"{self.table}:id"}
        lab.aws.client("lambda").create_event_source_mapping(
            EventSourceArn=made["TableDescription"]["LatestStreamArn"],
            FunctionName=self.function,
            StartingPosition="TRIM_HORIZON",
            BatchSize=100,
        )
        self._written = 0

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"TableName": self.table, "Item": message.body}

    def numbered(self, number: int) -> Any:
        return {"id": {"S": f"number {number}"}}

    def read(self, event: Any) -> list[Message]:
        found = []
        for record in event["Records"]:
            image = dict(record["dynamodb"]["NewImage"])
            image.pop("_hoptrace", None)
            found.append(Message(_bytes_of(image)))
        return found


class ItemBatch(Item):
    """Several items in one call."""

    operation = "BatchWriteItem"
    most = 10

    def params(self, messages: list[Message]) -> dict[str, Any]:
        return {"RequestItems": {self.table: [{"PutRequest": {"Item": message.body}} for message in messages]}}


class ItemTransaction(Item):
    """Several items in one transaction."""

    operation = "TransactWriteItems"
    most = 10

    def params(self, messages: list[Message]) -> dict[str, Any]:
        puts = [{"Put": {"TableName": self.table, "Item": message.body}} for message in messages]
        # botocore makes up a token for each call otherwise, which differs on the wire.
        return {"TransactItems": puts}


def _bytes_of(item: Any) -> Any:
    """Events have binary values in base64."""
    if isinstance(item, dict):
        return {
            key: base64.b64decode(value) if key == "B" and isinstance(value, str) else _bytes_of(value)
            for key, value in item.items()
        }
    return [_bytes_of(member) for member in item] if isinstance(item, list) else item


class Uploaded(Way):
    """An object, whose bucket tells a function of it: by the request's id, since a notification has no metadata."""

    carrier, service, operation = "s3", "s3", "PutObject"
    opt_in = True
    numbered_by_aws = True
    bodies = (b"plain", b"\x00\xff\xfe", b'{"a": 1}')

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.bucket = lab.name("bucket")
        self.requests: dict[str, str] = {}
        s3 = lab.aws.client("s3")
        s3.create_bucket(Bucket=self.bucket)
        s3.put_object(Bucket=self.bucket, Key="source", Body=b"copied")
        s3.put_bucket_notification_configuration(
            Bucket=self.bucket,
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [{"LambdaFunctionArn": self.arn, "Events": ["s3:ObjectCreated:*"]}]
            },
        )

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"Bucket": self.bucket, "Key": self.key(message), "Body": message.body, "Metadata": {"mine": "yes"}}

    def key(self, message: Message) -> str:
        """A key for each body."""
        return f"a b/\u00fc {message.body.hex()}"

    def joined(self, message: Message) -> str:
        return POINTER

    def told(self, message: Message, done: Sent) -> None:
        self.requests[self.key(message)] = done.answer["ResponseMetadata"]["RequestId"]

    def events(self, count: int, seconds: float = 20.0) -> list[Any]:
        """The emulator's, with one lie taken out.

        `x-amz-request-id` is "the Amazon S3 request ID as returned in the response" (S3 user guide, "Event message
        structure"); the emulator makes up another one for the notification.
        """
        from urllib.parse import unquote_plus

        found = super().events(count, seconds)
        for event in found:
            for record in event["Records"]:
                key = unquote_plus(record["s3"]["object"]["key"])
                record["responseElements"]["x-amz-request-id"] = self.requests.get(key, "another")
        return found

    def read(self, event: Any) -> list[Message]:
        from urllib.parse import unquote_plus

        found = []
        for record in event["Records"]:
            key = unquote_plus(record["s3"]["object"]["key"])
            got = self.lab.aws.client("s3").get_object(Bucket=self.bucket, Key=key)
            theirs = {name: value for name, value in got["Metadata"].items() if name != "traceparent"}
            assert theirs == {"mine": "yes"}
            found.append(Message(got["Body"].read()))
        return found


class Copied(Uploaded):
    """A copy with metadata of its own."""

    operation = "CopyObject"
    bodies = (b"copied",)

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {
            "Bucket": self.bucket,
            "Key": self.key(message),
            "CopySource": {"Bucket": self.bucket, "Key": "source"},
            "MetadataDirective": "REPLACE",
            "Metadata": {"mine": "yes"},
        }


class ToDevices(Way):
    """A message to IoT Core that a rule hands to a function."""

    carrier, service, operation = "iot", "iot-data", "Publish"
    opt_in = True
    bodies = (b"{}", b'{"order": 1}', b' {"b": 1.50,\n "a": "\\u00fc"} ', b'{"deep": {"list": [1, [2]]}}')

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.topic = lab.name("orders")
        lab.aws.client("iot").create_topic_rule(
            ruleName=self.topic.replace("-", "_"),
            topicRulePayload={
                "sql": f"SELECT * FROM '{self.topic}/#'",
                "actions": [{"lambda": {"functionArn": self.arn}}],
            },
        )

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"topic": f"{self.topic}/new", "qos": 1, "payload": message.body}

    def received(self, message: Message) -> Message:
        return Message(json.loads(message.body))

    def read(self, event: Any) -> list[Message]:
        return [Message({name: value for name, value in event.items() if name != "_hoptrace"})]


class Execution(Way):
    """An execution whose first task is a function, which gets the input as it is."""

    carrier, service, operation = "step_functions", "stepfunctions", "StartExecution"
    # `traceHeader` is a parameter of its own, so that is written unasked.
    bodies = ("{}", '{"order": 1}', ' {"b": 1.50,\n "a": "\\u00fc"} ', '{"deep": {"list": [1, [2]]}}')
    always: ClassVar[dict[str, str]] = {"HOPTRACE_INJECT_ENABLED": "stepfunctions"}
    kind = "STANDARD"

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.machine = machine(lab, {"Only": {"Type": "Task", "Resource": self.arn, "End": True}}, self.kind)

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"stateMachineArn": self.machine, "input": message.body}

    def received(self, message: Message) -> Message:
        return Message(json.loads(message.body))

    def read(self, event: Any) -> list[Message]:
        return [Message({name: value for name, value in event.items() if name != "_hoptrace"})]


class ExecutionContext(Execution):
    """An execution of which only the context object is handed on, and nothing of the user's may be written to."""

    always: ClassVar[dict[str, str]] = {}

    def __init__(self, lab: Lab) -> None:
        Way.__init__(self, lab)
        # The emulator knows the context object's members, and not the whole.
        handed_on = {f"{name}.$": f"$$.{name}" for name in ("Execution", "State", "StateMachine")}
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": self.arn, "Payload": {**handed_on, "input.$": "$"}},
            "End": True,
        }
        self.machine = machine(lab, {"Only": task}, self.kind)

    def joined(self, message: Message) -> str:
        return POINTER

    def read(self, event: Any) -> list[Message]:
        return [Message(event["input"])]


class ExecutionSync(Execution):
    """An express execution that the caller waits for."""

    operation = "StartSyncExecution"
    kind = "EXPRESS"


class TaskSuccess(Execution):
    """The end of a task from outside: the next function follows whoever ended it."""

    operation = "SendTaskSuccess"
    opt_in = True
    always: ClassVar[dict[str, str]] = {}

    def __init__(self, lab: Lab) -> None:
        Way.__init__(self, lab)
        self.asked = lab.name("asked")
        self.asked_arn = lab.aws.function(self.asked)
        ask = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {"FunctionName": self.asked_arn, "Payload": {"token.$": "$$.Task.Token"}},
            "Next": "Then",
        }
        then = {"Type": "Task", "Resource": self.arn, "End": True}
        self.machine = machine(lab, {"Ask": ask, "Then": then})

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        self.lab.aws.client("stepfunctions").start_execution(stateMachineArn=self.machine, input="{}")
        return {"taskToken": self.lab.aws.event_for(self.asked)["token"], "output": message.body}


def machine(lab: Lab, states: dict[str, Any], kind: str = "STANDARD") -> str:
    """A state machine of these states."""
    made = lab.aws.client("stepfunctions").create_state_machine(
        name=lab.name("machine"),
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn=ROLE,
        type=kind,
    )
    return str(made["stateMachineArn"])
