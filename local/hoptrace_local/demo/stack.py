"""What the application needs of AWS, made in the emulator through boto3 as `template.yaml` would make it.

POST /orders → checkout → topic → queue → billing → bus → shipping → (alert) bus → remedy
"""

import io
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoptrace_local.stage.emulator import REGION, Emulator

ACCOUNT = "000000000000"
FUNCTIONS = ("checkout", "billing", "shipping", "remedy")
TIMEOUTS = {"checkout": 30, "billing": 30, "shipping": 5, "remedy": 30}
"""Seconds, as in template.yaml where that matters: shipping's is what the slow carrier exceeds."""
BATCH_SIZE = 10
BATCHING_WINDOW = 1
BILLED = {"source": ["orders.billing"], "detail-type": ["OrderBilled"]}
# A replayed alert is history: acting on it again would undo what people did since.
ALERTS = {
    "source": ["dev.hoptrace"],
    "detail-type": ["Hoptrace Alert State Change"],
    "replay-name": [{"exists": False}],
    "detail": {"rule": ["timeout"], "state": {"value": ["ALARM"]}},
}


@dataclass
class Stack:
    """The names of what was made."""

    topic_arn: str
    queue_url: str
    queue_arn: str
    dead_letter_url: str
    table: str
    mapping: str = ""
    orders_url: str = ""

    def environment(self, name: str) -> dict[str, str]:
        """Answer the variables that the function `name` of the application reads."""
        return {
            "checkout": {"ORDERS_TOPIC_ARN": self.topic_arn},
            "billing": {"EVENT_BUS": "default"},
            "shipping": {"SHIPPING_TABLE": self.table},
            "remedy": {"SHIPPING_TABLE": self.table},
        }[name]


def make_stores(emulator: Emulator) -> Stack:
    """Make topic, queue with its dead letter queue, subscription and table."""
    sqs, sns, dynamodb = emulator.client("sqs"), emulator.client("sns"), emulator.client("dynamodb")
    dead_url = sqs.create_queue(QueueName="orders-dead")["QueueUrl"]
    queue_url = sqs.create_queue(
        QueueName="orders",
        Attributes={
            # Six times the function's timeout, as the Lambda guide says ("Configuring an SQS queue for Lambda").
            "VisibilityTimeout": str(6 * TIMEOUTS["billing"]),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": _queue_arn(sqs, dead_url), "maxReceiveCount": 3}),
        },
    )["QueueUrl"]
    queue_arn = _queue_arn(sqs, queue_url)
    topic_arn = sns.create_topic(Name="orders")["TopicArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, ReturnSubscriptionArn=True)
    dynamodb.create_table(
        TableName="shipping",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return Stack(topic_arn, queue_url, queue_arn, dead_url, "shipping")


def register_functions(emulator: Emulator, app: Path, host_url: str) -> None:
    """Tell the emulator of the four functions, and that the local Lambda at `host_url` runs them."""
    client = emulator.client("lambda")
    for name in FUNCTIONS:
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=f"arn:aws:iam::{ACCOUNT}:role/orders",
            Handler="app.handler",
            Code={"ZipFile": _zipped(app / name)},
            # The local Lambda keeps the function's own timeout; this is only how long the emulator waits for an answer.
            Timeout=60,
            Environment={"Variables": {"MINISTACK_LAMBDA_PROXY_URL": f"{host_url}/proxy/{name}"}},
        )


def wire(emulator: Emulator, stack: Stack) -> None:
    """Connect the stores to the functions: HTTP API, event source mapping, rules."""
    stack.orders_url = _http_api(emulator)
    # The emulator does not know batching windows: it would hand over each order as it comes. The mapping therefore
    # begins disabled, and is enabled when the orders of the demo lie in the queue, as a window would end.
    stack.mapping = emulator.client("lambda").create_event_source_mapping(
        EventSourceArn=stack.queue_arn,
        FunctionName="billing",
        BatchSize=BATCH_SIZE,
        MaximumBatchingWindowInSeconds=BATCHING_WINDOW,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        Enabled=False,
    )["UUID"]
    _rule(emulator, "orders-billed", BILLED, "shipping")
    _rule(emulator, "function-alerts", ALERTS, "remedy")


def wait_for_queue(emulator: Emulator, stack: Stack, count: int, timeout: float) -> None:
    """Wait until `count` messages lie in the queue.

    Raises:
        TimeoutError: they did not within `timeout` seconds.
    """
    sqs = emulator.client("sqs")
    limit = time.monotonic() + timeout
    while True:
        answer = sqs.get_queue_attributes(QueueUrl=stack.queue_url, AttributeNames=["ApproximateNumberOfMessages"])
        lying = int(answer["Attributes"]["ApproximateNumberOfMessages"])
        if lying >= count:
            return
        if time.monotonic() > limit:
            raise TimeoutError(f"{lying} of {count} orders reached the queue within {timeout:.0f} s")
        time.sleep(0.05)


def open_queue(emulator: Emulator, stack: Stack) -> None:
    """Enable the event source mapping."""
    emulator.client("lambda").update_event_source_mapping(UUID=stack.mapping, Enabled=True)


def last_result(emulator: Emulator, stack: Stack) -> str:
    """Answer what the emulator made of billing's last answer; empty before there was one."""
    mapping = emulator.client("lambda").get_event_source_mapping(UUID=stack.mapping)
    result = str(mapping.get("LastProcessingResult") or "")
    return "" if result == "No records processed" else result


def item(emulator: Emulator, stack: Stack, key: str) -> dict[str, str]:
    """Read one item of the table; empty when it is not there."""
    found = emulator.client("dynamodb").get_item(TableName=stack.table, Key={"pk": {"S": key}}, ConsistentRead=True)
    return {name: next(iter(value.values())) for name, value in found.get("Item", {}).items()}


def _http_api(emulator: Emulator) -> str:
    api = emulator.client("apigatewayv2")
    api_id = api.create_api(Name="orders", ProtocolType="HTTP")["ApiId"]
    integration = api.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=_function_arn("checkout"),
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    api.create_route(ApiId=api_id, RouteKey="POST /orders", Target=f"integrations/{integration}")
    api.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    return f"{emulator.endpoint}/_aws/execute-api/{api_id}/$default/orders"


def _rule(emulator: Emulator, name: str, pattern: dict[str, Any], function: str) -> None:
    events = emulator.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    answer = events.put_targets(Rule=name, Targets=[{"Id": function, "Arn": _function_arn(function)}])
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"the rule {name} got no target: {answer['FailedEntries']}")


def _function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def _queue_arn(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.rglob("*.py")):
            archive.write(file, file.relative_to(folder))
    return content.getvalue()
