"""Reads a queue for a function: batches, windows, partial failures. What failed is left to the queue's own policy.

Messages that were not processed stay invisible until the queue's visibility timeout is over and come again; the queue
itself moves what came too often to its dead letter queue. Source: AWS Lambda developer guide, "Using Lambda with Amazon
SQS" and "Handling errors for an SQS event source".
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .aws_clients import AwsClients
from .errors import LambdaHostError
from .invocation import Invocation
from .sqs_batch import Message, as_record, failed_messages

#: Messages that one call to the queue can bring or delete.
_CALL = 10
_LONGEST_BATCH, _LONGEST_WINDOW = 10_000, 300.0
_MAX_EVENT = 6 * 1024 * 1024
#: Seconds that a call waits for messages; an end of the host waits for it.
_LONG_POLL = 1
_PAUSE_AFTER_ERROR = 0.5


@dataclass(frozen=True)
class SqsEventSource:
    """An event source mapping, as CreateEventSourceMapping describes it; the window is seconds.

    `maximum_concurrency` is how many batches are processed at once; Lambda begins with five.
    """

    queue_arn: str
    batch_size: int = 10
    batching_window: float = 0.0
    report_batch_item_failures: bool = False
    maximum_concurrency: int = 5

    def check(self) -> None:
        """Raise `LambdaHostError` for what Lambda would refuse."""
        if not 1 <= self.batch_size <= _LONGEST_BATCH or not 0 <= self.batching_window <= _LONGEST_WINDOW:
            raise LambdaHostError("batch_size goes from 1 to 10,000 and batching_window from 0 to 300 seconds")
        if self.batch_size > _CALL and self.batching_window < 1:
            raise LambdaHostError("a batch_size of more than 10 needs a batching_window of at least 1 second")
        if self.maximum_concurrency < 1:
            raise LambdaHostError("maximum_concurrency is at least 1")


class SqsPoller:
    """One mapping at work."""

    def __init__(
        self,
        source: SqsEventSource,
        aws: AwsClients,
        dispatch: Callable[[bytes], Invocation],
        on_log: Callable[[str], None],
    ) -> None:
        self._source = source
        self._aws = aws
        self._dispatch = dispatch
        self._on_log = on_log
        self._url = ""
        self._ending = False
        self._slots = asyncio.Semaphore(source.maximum_concurrency)
        self._batches: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self, function_timeout: float) -> None:
        """Find the queue and begin; raises `LambdaHostError` for a queue that Lambda would refuse."""
        arn = self._source.queue_arn
        try:
            self._url = (await self._aws.call("sqs", "get_queue_url", QueueName=arn.rsplit(":", 1)[-1]))["QueueUrl"]
            asked = await self._aws.call(
                "sqs", "get_queue_attributes", QueueUrl=self._url, AttributeNames=["VisibilityTimeout"]
            )
        except Exception as error:
            raise LambdaHostError(f"the queue {arn} cannot be read: {error}") from error
        visibility = int(asked["Attributes"]["VisibilityTimeout"])
        if visibility < function_timeout:
            raise LambdaHostError(
                f"Queue visibility timeout: {visibility} seconds is less than "
                f"Function timeout: {function_timeout:g} seconds"
            )
        self._task = asyncio.get_running_loop().create_task(self._poll())

    async def shutdown(self) -> None:
        """End; messages that were fetched and not given to the function become visible again."""
        self._ending = True
        if self._task is not None:
            await self._task
        if self._batches:
            await asyncio.wait(set(self._batches))

    async def _poll(self) -> None:
        while not self._ending:
            await self._slots.acquire()
            batch: list[Message] = []
            try:
                batch = await self._gather()
            except Exception as error:
                self._on_log(f"the queue {self._source.queue_arn} cannot be read: {error}")
                await asyncio.sleep(_PAUSE_AFTER_ERROR)
            if self._ending and batch:
                await self._give_back(batch)
                batch = []
            if not batch:
                self._slots.release()
                continue
            task = asyncio.get_running_loop().create_task(self._process(batch))
            self._batches.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._slots.release()

    async def _gather(self) -> list[Message]:
        """Messages until the batch is full or its window over; the window opens with the first message."""
        wanted = self._source.batch_size
        batch = await self._receive(wanted, _LONG_POLL)
        if not batch:
            return batch
        closes = time.monotonic() + self._source.batching_window
        while len(batch) < wanted and not self._ending and (left := closes - time.monotonic()) > 0:
            more = await self._receive(wanted - len(batch), _LONG_POLL if left >= _LONG_POLL else 0)
            batch += more
            if not more and left < _LONG_POLL:
                await asyncio.sleep(min(left, 0.1))
        return batch

    async def _receive(self, wanted: int, wait: int) -> list[Message]:
        answer = await self._aws.call(
            "sqs",
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=min(wanted, _CALL),
            WaitTimeSeconds=wait,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found: list[Message] = answer.get("Messages", [])
        return found

    async def _process(self, batch: list[Message]) -> None:
        for messages, event in self._events(batch):
            invocation = self._dispatch(event)
            await invocation.responded.future
            failed = {message["MessageId"] for message in messages}
            if invocation.status_code == 200 and invocation.function_error is None:
                failed = (
                    failed_messages(invocation.answer, failed) if self._source.report_batch_item_failures else set()
                )
            try:
                await self._delete([message for message in messages if message["MessageId"] not in failed])
            except Exception as error:
                self._on_log(f"messages of {self._source.queue_arn} could not be deleted and come again: {error}")

    def _events(self, batch: list[Message]) -> Iterator[tuple[list[Message], bytes]]:
        """The batch, cut where an event would be larger than an invocation takes."""
        messages: list[Message] = []
        records: list[str] = []
        size = 0
        for message in batch:
            record = json.dumps(as_record(message, self._source.queue_arn), separators=(",", ":"))
            if messages and size + len(record) > _MAX_EVENT - 100:
                yield messages, _event(records)
                messages, records, size = [], [], 0
            messages.append(message)
            records.append(record)
            size += len(record) + 1
        yield messages, _event(records)

    async def _delete(self, messages: list[Message]) -> None:
        for some in _tens(messages):
            entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(some)]
            answer = await self._aws.call("sqs", "delete_message_batch", QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise LambdaHostError(str(answer["Failed"]))

    async def _give_back(self, messages: list[Message]) -> None:
        for some in _tens(messages):
            entries = [
                {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for n, message in enumerate(some)
            ]
            try:
                await self._aws.call("sqs", "change_message_visibility_batch", QueueUrl=self._url, Entries=entries)
            except Exception as error:
                self._on_log(f"messages of {self._source.queue_arn} stay invisible for a while: {error}")


def _event(records: list[str]) -> bytes:
    return f'{{"Records":[{",".join(records)}]}}'.encode()


def _tens(messages: list[Message]) -> Iterator[list[Message]]:
    for begin in range(0, len(messages), _CALL):
        yield messages[begin : begin + _CALL]
