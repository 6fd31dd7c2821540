"""Where the end of an asynchronous invocation is sent: queue, topic, event bus, bucket, or a function of this host."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from .aws_clients import AwsClients
from .errors import LambdaHostError


class Targets:
    """Delivers by ARN; without an endpoint only to functions of this host."""

    def __init__(self, aws: AwsClients | None, invoke: Callable[[str, bytes, str], None]) -> None:
        """`invoke(name, payload, trace_header)` starts another asynchronous invocation."""
        self._aws = aws
        self._invoke = invoke

    async def destination(self, arn: str, record: dict[str, Any], *, trace_header: str, source_arn: str) -> None:
        """Bring a record to a destination; raises what boto3 raises."""
        body = json.dumps(record, separators=(",", ":"))
        service, resource = _parts(arn)
        match service:
            case "sqs":
                await self._to_queue(resource, body, trace_header)
            case "sns":
                await self._clients.call("sns", "publish", TopicArn=arn, Message=body)
            case "events":
                succeeded = record["requestContext"]["condition"] == "Success"
                entry = {
                    "Source": "lambda",
                    "DetailType": f"Lambda Function Invocation Result - {'Success' if succeeded else 'Failure'}",
                    "Detail": body,
                    "EventBusName": resource.removeprefix("event-bus/"),
                    "Resources": [source_arn, arn],
                    "TraceHeader": trace_header,
                }
                answer = await self._clients.call("events", "put_events", Entries=[entry])
                if answer.get("FailedEntryCount"):
                    raise LambdaHostError(f"{arn} did not take the event: {answer['Entries'][0]}")
            case "s3":
                await self._clients.call("s3", "put_object", Bucket=resource, Key=_key(record), Body=body.encode())
            case "lambda":
                self._invoke(resource.removeprefix("function:"), body.encode(), trace_header)
            case _:
                raise LambdaHostError(f"{arn} cannot be a destination: give a queue, topic, bus, bucket or function")

    async def dead_letter(
        self, arn: str, payload: bytes, attributes: dict[str, dict[str, str]], trace_header: str
    ) -> None:
        """Bring an event that failed to a dead letter queue or topic; raises what boto3 raises."""
        body = payload.decode("utf-8", "replace")
        service, resource = _parts(arn)
        if service == "sqs":
            await self._to_queue(resource, body, trace_header, attributes)
        elif service == "sns":
            await self._clients.call("sns", "publish", TopicArn=arn, Message=body, MessageAttributes=attributes)
        else:
            raise LambdaHostError(f"{arn} cannot take dead letters: give a queue or a topic")

    async def _to_queue(
        self, name: str, body: str, trace_header: str, attributes: dict[str, dict[str, str]] | None = None
    ) -> None:
        url = (await self._clients.call("sqs", "get_queue_url", QueueName=name))["QueueUrl"]
        trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace_header}}
        await self._clients.call(
            "sqs",
            "send_message",
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes=attributes or {},
            MessageSystemAttributes=trace,
        )

    @property
    def _clients(self) -> AwsClients:
        if self._aws is None:
            raise LambdaHostError("destinations need an AWS endpoint: give LambdaHost(aws=AwsEndpoint(url))")
        return self._aws


def _parts(arn: str) -> tuple[str, str]:
    fields = arn.split(":", 5)
    return (fields[2], fields[5]) if len(fields) == 6 else ("", arn)


def _key(record: dict[str, Any]) -> str:
    name = record["requestContext"]["functionArn"].split(":")[6]
    return time.strftime(f"aws/lambda/async/{name}/%Y/%m/%d/%Y-%m-%dT%H.%M.%S-{uuid.uuid4()}", time.gmtime())
