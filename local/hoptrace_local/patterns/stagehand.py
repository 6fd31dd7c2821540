"""What a pattern's `start` is given: hands that are outside of every trace, like a person's or an old program's."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from hoptrace_local.lambda_host import LambdaHost
from hoptrace_local.patterns.resources import Resources
from hoptrace_local.patterns.template import physical
from hoptrace_local.patterns.wiring import Wiring
from hoptrace_local.stage.emulator import Emulator

PACE = 0.02
LONGEST = 60.0


class Stagehand:
    """Sets a pattern going and waits for conditions; resources are called by their names in the template."""

    def __init__(self, emulator: Emulator, host: LambdaHost, resources: Resources, wiring: Wiring) -> None:
        self._emulator = emulator
        self._host = host
        self._resources = resources
        self._wiring = wiring
        self._clients: dict[str, Any] = {}

    def invoke(self, function: str, event: object) -> Any:
        """Invoke a function as the console's test button does, and answer what it returned, as parsed JSON."""
        result = self._host.invoke(physical(function), json.dumps(event).encode())
        return json.loads(result.payload)

    def client(self, service: str) -> Any:
        """A plain boto3 client, in a process that nothing traces."""
        if service not in self._clients:
            self._clients[service] = self._emulator.client(service)
        return self._clients[service]

    def ref(self, name: str) -> str:
        """What `!Ref name` is: a queue's URL, a topic's ARN, the name of the others."""
        return str(self._resources.known[name])

    def arn(self, name: str) -> str:
        """What `!GetAtt name.Arn` is."""
        return str(self._resources.known[f"{name}.Arn"])

    def close_window(self, function: str, records: int = 0) -> None:
        """Let a function have its batch, once so many messages lie in its queue."""
        if records:
            queue = self._wiring.source_of(function).rpartition(":")[2]
            self.wait(lambda: self.lying(queue) >= records, f"{records} messages in {queue}")
        self._wiring.close_window(function)

    def lying(self, queue: str) -> int:
        """How many messages can be received from a queue, by its name here or in the template."""
        return self._counted(queue)[0]

    def empty(self, queue: str) -> bool:
        """Whether a queue has no message, neither lying nor being processed."""
        return self._counted(queue) == (0, 0)

    def ran(self, function: str) -> int:
        """How often a function was invoked so far."""
        return self._host.stats(physical(function)).invocations

    def dropped(self, function: str) -> int:
        """How many invocations Lambda dropped because they came of a loop."""
        return self._host.stats(physical(function)).recursions_dropped

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = LONGEST) -> None:
        """Look until a condition holds.

        Args:
            what: the condition in words.

        Raises:
            TimeoutError: it did not within `seconds`.
        """
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(PACE)

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def _counted(self, queue: str) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=physical(queue))["QueueUrl"]
        found: Mapping[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])
