"""What a result says of each record, by Lambda's own reading of `batchItemFailures` ("partial batch responses").

An item without a proper identifier makes the whole batch count as failed, and so does one that names no record of it.
In a stream, Lambda goes back to the first failed record: those after it come again, whatever became of them.
"""

from __future__ import annotations

from .lineage import Lineage
from .spans import ERROR

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from typing import Any

REDELIVERED = "hoptrace.record.redelivered"


def mark(lineage: Lineage, failures: Any) -> None:
    """Mark the records that an answer names.

    Args:
        failures: the value of `batchItemFailures`; neither null nor an empty array, which say that all went well.
    """
    arrival = lineage.arrival
    read = {record.item_id for record in arrival.records if record.item_id}
    named = [_name(item) for item in failures] if isinstance(failures, list | tuple) else [""]
    # Of a large batch only the first records are read: what the answer names may be one of the others.
    unread = len(arrival.records) > len(lineage.records)
    whole = any(name not in read and not (name and unread) for name in named)
    failed = set(named)
    stopped: set[str] = set()
    for name, span in lineage.records:
        if whole or name in failed:
            stopped.add(_partition(name))
            if "error.type" not in span.attributes:  # an error of its own says more
                span.set_attribute("error.type", "batch_item_failure")
                span.set_status(ERROR, "reported in batchItemFailures")
        elif arrival.ordered and _partition(name) in stopped:
            span.set_attribute(REDELIVERED, True)
    lineage.invocation.set_attribute("hoptrace.batch.item_failures", len(arrival.records) if whole else len(failed))


def _partition(name: str) -> str:
    """Which order a record stands in: a batch of Kafka's may be of several partitions, any other is of one shard."""
    return name.rpartition(":")[0]


def _name(item: Any) -> str:
    """The record that an item names; "" when it names none properly."""
    name = item.get("itemIdentifier") if isinstance(item, dict) else None
    if isinstance(name, dict):  # Kafka's: the partition ("orders-0") and the offset
        partition, offset = name.get("partition"), name.get("offset")
        return f"{partition}:{offset}" if isinstance(partition, str) and isinstance(offset, int) else ""
    return name if isinstance(name, str) else ""
