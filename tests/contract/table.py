"""The contract as a table: every way, of every carrier, that is tested by sending."""

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
)
