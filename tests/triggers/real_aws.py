"""MiniStack, and functions in it that hand what wakes them to a listener of ours: true events, made by others.

MiniStack's own event source mappings, rules, subscriptions, gateways and load balancer make the events; our code only
sends what starts them. One `RealAws` serves a whole test module.
"""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ACCOUNT = "000000000000"
REGION = "us-east-1"
_OK = b'{"statusCode":200,"body":"ok"}'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealAws:
    """A running MiniStack; `event_for(name)` waits for the next event that the function `name` got."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arrived: dict[str, queue.Queue[Any]] = {}
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self._listen()
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "HOPTRACE_"))}
        environment.update(
            BIND_HOST="127.0.0.1", GATEWAY_PORT=str(self.port), TMPDIR=str(folder), MINISTACK_STATE_DIR=str(folder)
        )
        self._log = (folder / "ministack.log").open("wb")
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ministack"))],
            env=environment,
            cwd=folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._await_health()

    def _listen(self) -> None:
        arrived, answers = self.arrived, self.answers

        class Listener(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                name = self.path.strip("/")
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps(answers[name](event)).encode() if name in answers else _OK
                arrived[name].put(event)
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _await_health(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1):
                    return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError("MiniStack did not start: " + Path(self._log.name).read_text(errors="replace")[-2000:])

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15),
        )

    def function(self, name: str, answer: Callable[[Any], Any] | None = None, runtime: str = "python3.12") -> str:
        """Make a function whose events come to us and that answers what `answer` makes of them; its ARN."""
        self.arrived[name] = queue.Queue()
        if answer is not None:
            self.answers[name] = answer
        answer = self.client("lambda").create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=f"arn:aws:iam::{ACCOUNT}:role/r",
            Handler="app.handler",
            Code={"ZipFile": _empty_zip()},
            Environment={
                "Variables": {"MINISTACK_LAMBDA_PROXY_URL": f"http://127.0.0.1:{self._server.server_port}/{name}"}
            },
        )
        return str(answer["FunctionArn"])

    def event_for(self, name: str) -> Any:
        return self.arrived[name].get(timeout=20)

    def topic(self, name: str) -> str:
        return str(self.client("sns").create_topic(Name=name)["TopicArn"])

    def queue(self, name: str, function: str | None = None, batch: int = 10) -> tuple[str, str]:
        """Make a queue (read by `function` if given); its URL and its ARN."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        if function:
            self.map(arn, function, batch)
        return url, arn

    def map(self, queue_arn: str, function: str, batch: int = 10) -> None:
        self.client("lambda").create_event_source_mapping(
            EventSourceArn=queue_arn, FunctionName=function, BatchSize=batch, Enabled=True
        )

    def subscribe(self, topic: str, protocol: str, endpoint: str, raw: bool = False) -> None:
        self.client("sns").subscribe(
            TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes={"RawMessageDelivery": str(raw).lower()}
        )

    def rule(self, name: str, source: str, target: str, **more: Any) -> None:
        events = self.client("events")
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target, **more}])

    def request(
        self,
        host: str,
        path: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        """Send an HTTP request to something that MiniStack serves under the name `host`."""
        request = urllib.request.Request(
            self.url + path,
            data=body,
            method=method,
            headers={"Host": host, "User-Agent": "curl/8.1", **(headers or {})},
        )
        with urllib.request.urlopen(request, timeout=15) as answer:
            answer.read()


def _empty_zip() -> bytes:
    import io
    import zipfile

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): pass\n")
    return data.getvalue()
