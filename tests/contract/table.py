"""The contract as a table: every way, of every carrier, that is tested by sending."""

from tests.contract.data import (
    Copied,
    Delivered,
    DeliveredBatch,
    Execution,
    ExecutionContext,
    ExecutionSync,
    Item,
    ItemBatch,
    ItemTransaction,
    StreamBatch,
    StreamRecord,
    TaskSuccess,
    ToDevices,
    Uploaded,
)
from tests.contract.messages import (
    Published,
    PublishedBatch,
    PublishedToQueue,
    PublishedToQueueRaw,
    Put,
    PutDetailToQueue,
    PutToQueue,
    PutToTopic,
    QueueBatch,
    QueueMessage,
)
from tests.contract.ways import Way

WAYS: tuple[type[Way], ...] = (
    QueueMessage,
    QueueBatch,
    Published,
    PublishedBatch,
    PublishedToQueue,
    PublishedToQueueRaw,
    Put,
    PutToQueue,
    PutToTopic,
    PutDetailToQueue,
    StreamRecord,
    StreamBatch,
    Delivered,
    DeliveredBatch,
    Item,
    ItemBatch,
    ItemTransaction,
    Uploaded,
    Copied,
    ToDevices,
    Execution,
    ExecutionContext,
    ExecutionSync,
    TaskSuccess,
)

FILES = ("test_functions", "test_http", "test_objects", "test_authorizers")
ELSEWHERE: dict[str, tuple[tuple[str, str], ...]] = {
    "client_context": (("lambda", "Invoke"), ("lambda", "InvokeWithResponseStream")),
    "headers": (),
    "authorizer": (),
    "s3": (("s3", "CreateMultipartUpload"),),
}
"""Carriers that have a file of tests of their own, with the calls there: their consumer is no event of a service's."""
