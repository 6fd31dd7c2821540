"""The deployed stack, by boto3: what `gather.py` asks."""

import json
import time
from typing import Any

import boto3
from botocore.config import Config
from gather import MARK, Answer, encoded


class Stack:
    """A stack that CloudFormation knows by this name; its outputs say what everything is called.

    Raises:
        KeyError: the stack has no outputs of ours.
    """

    def __init__(self, name: str, region: str | None, profile: str | None) -> None:
        self._session: Any = boto3.Session(region_name=region, profile_name=profile)
        self._clients: dict[str, Any] = {}
        described = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
        if "Plain" not in self.outputs:
            raise KeyError(f"the stack {name} is not the one of this folder's template")
        self.since = int(time.time() * 1000)
        self.names = [name, *self.outputs.values()]

    @property
    def region(self) -> str:
        """Where it is."""
        return str(self._session.region_name)

    def client(self, service: str) -> Any:
        """A client; a probe that times out must not be invoked again by a retry of ours."""
        if service not in self._clients:
            config = Config(retries={"total_max_attempts": 1 if service == "lambda" else 3}, read_timeout=90)
            self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]

    def invoke(self, probe: str, event: Any, *, context: Any = None, header: str = "", traceparent: str = "") -> Answer:
        """Invoke a probe by its short name, with HTTP headers of ours where asked."""
        client = self._session.client("lambda", config=Config(retries={"total_max_attempts": 1}, read_timeout=90))
        wanted = {"X-Amzn-Trace-Id": header, "traceparent": traceparent}

        def add(request: Any, **_: Any) -> None:
            for name, value in wanted.items():
                if value:
                    del request.headers[name]
                    request.headers[name] = value

        client.meta.events.register("before-sign.lambda.Invoke", add)
        parameters: dict[str, Any] = {"FunctionName": self.outputs[probe], "Payload": json.dumps(event).encode()}
        if context is not None:
            parameters["ClientContext"] = encoded(context)
        answer = client.invoke(**parameters)
        return Answer(json.loads(answer["Payload"].read() or b"null"), answer.get("FunctionError"))

    def send(self, service: str, operation: str, **parameters: Any) -> Any:
        """One call."""
        return getattr(self.client(service), operation)(**parameters)

    def place(self, name: str) -> str:
        """An output of the stack; empty when it has none."""
        return str(self.outputs.get(name, ""))

    def kept(self, consumer: str) -> list[dict[str, Any]]:
        """What a consumer has kept since this check began."""
        found = self.client("dynamodb").query(
            TableName=self.outputs["Table"],
            KeyConditionExpression="consumer = :c AND id >= :t",
            ExpressionAttributeValues={":c": {"S": consumer}, ":t": {"S": f"{self.since / 1000:.3f}"}},
        )
        return [{name: next(iter(value.values())) for name, value in item.items()} for item in found["Items"]]

    def said(self, probe: str) -> list[str]:
        """Lines of a probe's log that carry evidence, since this check began."""
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=f"/aws/lambda/{self.outputs[probe]}",
                startTime=self.since,
                filterPattern=f'"{MARK.strip()}"',
            )
        )
        return [event["message"] for page in pages for event in page["events"]]
