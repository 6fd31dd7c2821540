"""Detection of recursive loops: how often a chain of requests came by a function, told in its trace header.

The header's `Lineage` has an entry `hash:count` for each function of the chain, `|` between them. What a function sends
carries its header on, as every AWS SDK since 2023 does by itself; a record of a queue or topic brings it back in its
AWSTraceHeader. After 16 invocations in one chain the next one is dropped.
Sources: AWS Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite loops"; X-Ray developer
guide, "Tracing header".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

#: How often a function runs in one chain of requests.
LONGEST_CHAIN = 16
#: The status of a dropped invocation: RecursiveInvocationException of Invoke.
RECURSION = 400
#: What the caller of a dropped invocation gets.
REFUSAL = {
    "Type": "User",
    "message": "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services "
    "resources and stopped your function's invocation.",
}
_FIELD = "Lineage="


def counted(header: str, payload: bytes, arn: str) -> tuple[str, int]:
    """Count an invocation.

    Args:
        header: the trace header that it comes with.
        payload: the event, whose records may have come with headers of their own.
        arn: of the function that is invoked.

    Returns:
        The header for the function, and how often the chain came by it before.
    """
    turns: dict[str, int] = {}
    others: list[str] = []  # a form that is not known is kept as it is
    for entry in (entry for text in (header, *_carried(payload)) for entry in _entries(text)):
        name, _, count = entry.rpartition(":")
        if name and ":" not in name and count.isdigit():
            turns[name] = max(turns.get(name, 0), int(count))
        elif entry not in others:
            others.append(entry)
    own = hashlib.sha256(arn.encode()).hexdigest()[:8]
    before = turns[own] + 1 if own in turns else 0
    turns[own] = before
    fields = [field for field in header.split(";") if field and not field.startswith(_FIELD)]
    lineage = "|".join([*(f"{name}:{count}" for name, count in turns.items()), *others])
    return ";".join([*fields, _FIELD + lineage]), before


def _entries(header: str) -> list[str]:
    for field in header.split(";"):
        if field.startswith(_FIELD):
            return [entry for entry in field.removeprefix(_FIELD).split("|") if entry]
    return []


def _carried(payload: bytes) -> Iterator[str]:
    if b"AWSTraceHeader" not in payload:
        return
    try:
        event: Any = json.loads(payload)
    except ValueError:
        return
    records = event.get("Records") if isinstance(event, dict) else None
    for record in records if isinstance(records, list) else ():
        attributes = record.get("attributes") if isinstance(record, dict) else None
        header = attributes.get("AWSTraceHeader") if isinstance(attributes, dict) else None
        if isinstance(header, str):
            yield header
