"""The emulated AWS that the desk's sources and destinations speak with, one process for all tests of a run."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import AwsEndpoint
from hoptrace_local.stage.emulator import REGION, Emulator


class Queue:
    """One queue, by its own name in each test."""

    def __init__(self, client: Any, name: str, **attributes: str) -> None:
        self._client = client
        self.url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        asked = client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = str(asked["Attributes"]["QueueArn"])

    def send(self, *bodies: str, **more: Any) -> None:
        for body in bodies:
            self._client.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def messages(self, seconds: float = 3.0) -> list[dict[str, Any]]:
        """What lies in it, taken and deleted; waits for the first one."""
        until = time.monotonic() + seconds
        found: list[dict[str, Any]] = []
        while time.monotonic() < until:
            more = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not more and found:
                break
            for message in more:
                self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            found += more
            if not more:
                time.sleep(0.02)
        return found

    def count(self) -> tuple[int, int]:
        """How many messages lie in it, and how many are out and not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        asked = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(asked[names[0]]), int(asked[names[1]])


class Aws:
    """Makes queues, topics, rules and functions in the emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.endpoint = AwsEndpoint(emulator.endpoint, REGION)
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, endpoint: str = "") -> Any:
        key = (service, endpoint)
        if key not in self._clients:
            if endpoint:
                import boto3

                self._clients[key] = boto3.client(
                    service,
                    endpoint_url=endpoint,
                    region_name=REGION,
                    aws_access_key_id="test",
                    aws_secret_access_key="test",
                )
            else:
                self._clients[key] = self._emulator.client(service)
        return self._clients[key]

    def queue(self, name: str, **attributes: str) -> Queue:
        return Queue(self.client("sqs"), f"{name}-{uuid.uuid4().hex[:8]}", **attributes)

    def topic_to(self, queue: Queue) -> str:
        sns = self.client("sns")
        topic = str(sns.create_topic(Name=f"topic-{uuid.uuid4().hex[:8]}")["TopicArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
        return topic

    def rule_to(self, queue: Queue, pattern: dict[str, Any]) -> None:
        events = self.client("events")
        name = f"rule-{uuid.uuid4().hex[:8]}"
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue.arn}])

    def function(self, name: str, url: str) -> str:
        """A function of the emulator that hands its events on to `url`."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("app.py", "")
        return str(
            self.client("lambda").create_function(
                FunctionName=name,
                Runtime="python3.12",
                Role="arn:aws:iam::000000000000:role/r",
                Handler="app.handler",
                Code={"ZipFile": buffer.getvalue()},
                Timeout=30,
                Environment={"Variables": {"MINISTACK_LAMBDA_PROXY_URL": url}},
            )["FunctionArn"]
        )

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def started(folder: Path) -> tuple[Emulator, Aws]:
    emulator = Emulator(folder)
    emulator.start()
    return emulator, Aws(emulator)
