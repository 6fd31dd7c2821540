"""Powertools for AWS Lambda: its batch processors say which record is in work, and what became of it.

`BatchProcessor` and `AsyncBatchProcessor` call one method for each record, which takes the record handler's exception
and answers with what came of it. Around that method the record's span is current; asynchronous records run side by
side, each in a task with a context of its own. The processor of FIFO queues answers for records that it does not reach
without calling that method, and so they count as not processed.

Patched when the user's code imports the batch utility; versions 2 and 3 are tested.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..following import Processing
from ..guard import guard, swallowed
from .method import Method


def patch(module: Any) -> None:
    """The batch utility has been imported."""
    sync = getattr(module, "BatchProcessor", None)
    if not callable(getattr(sync, "_process_record", None)):
        swallowed("clients.powertools", AttributeError("this version's BatchProcessor has no _process_record"))
        return
    _process.patch(sync)
    side_by_side = getattr(module, "AsyncBatchProcessor", None)  # since 2.9
    if callable(getattr(side_by_side, "_async_process_record", None)):
        _async_process.patch(side_by_side)


def unpatch() -> None:
    """Undo it; in somebody's chain of wrappers ours stays, and does nothing."""
    _process.unpatch()
    _async_process.unpatch()


def _following(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _process_record(self: Any, record: Any, *more: Any, **named: Any) -> Any:
        if not _process.on:
            return original(self, record, *more, **named)
        with Processing(record) as processing:
            answer = original(self, record, *more, **named)
            _judge(processing, self, answer)
        return answer

    return _process_record


def _following_side_by_side(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _async_process_record(self: Any, record: Any, *more: Any, **named: Any) -> Any:
        if not _async_process.on:
            return await original(self, record, *more, **named)
        with Processing(record) as processing:
            answer = await original(self, record, *more, **named)
            _judge(processing, self, answer)
        return answer

    return _async_process_record


def _judge(processing: Processing, processor: Any, answer: Any) -> None:
    """Mark a record that failed: the processor has noted its exception just now, and answers with the text of it."""
    with guard("clients.powertools"):
        if not isinstance(answer, tuple) or len(answer) < 2 or answer[0] != "fail":
            return
        noted = processor.exceptions[-1] if getattr(processor, "exceptions", None) else (None, None)
        told = f"{noted[0]}:{noted[1]}" == answer[1]
        processing.failed(noted[1] if told else None, str(answer[1]))


_process = Method("_process_record", _following)
_async_process = Method("_async_process_record", _following_side_by_side)
