"""Asynchronous invocations of one function: accepted at once, tried again with the same request id, and accounted for.

Source: AWS Lambda developer guide, "How Lambda handles errors and retries with asynchronous invocation".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from .async_records import dead_letter_attributes, destination_record
from .config import FunctionConfig
from .invocation import Invocation
from .recursion import RECURSION
from .targets import Targets

_THROTTLED, _SERVICE = 429, 500


class AsyncQueue:
    """The events of one function that wait, run or are being delivered."""

    def __init__(
        self,
        config: FunctionConfig,
        dispatch: Callable[[Invocation], None],
        targets: Targets,
        on_log: Callable[[str], None],
    ) -> None:
        self._config = config
        self._policy = config.asynchronous
        self._dispatch = dispatch
        self._targets = targets
        self._on_log = on_log
        self._running: set[asyncio.Task[None]] = set()

    def accept(self, event: Invocation) -> None:
        """Take an event, which stands for all its attempts."""
        task = asyncio.get_running_loop().create_task(self._handle(event))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settled(self, timeout: float) -> bool:
        """Wait until nothing is left to do; whether that was so within `timeout` seconds."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=timeout)
        return not self._running

    async def shutdown(self) -> None:
        """Drop what waits for another attempt, and say so."""
        if self._running:
            self._on_log(f"{len(self._running)} asynchronous invocations of {self._config.name} end with the host")
            for task in self._running:
                task.cancel()
            await asyncio.wait(set(self._running))

    async def _handle(self, event: Invocation) -> None:
        policy = self._policy
        if event.status_code == RECURSION:
            # No page says by which condition the record of a dropped event goes; this is what is left of the three.
            return await self._end(event, "RetriesExhausted", 0, None)
        too_old = time.monotonic() + policy.maximum_age
        pause, longest_pause = policy.throttle_delays
        invoked = retried = 0
        last: Invocation | None = None
        while True:
            attempt = event.again()
            self._dispatch(attempt)
            # Shielded, since the end of the host cancels this task and not the function, which still runs.
            await asyncio.shield(attempt.responded.future)
            if attempt.status_code in (_THROTTLED, _SERVICE):
                wait, pause = pause, min(pause * 2, longest_pause)
            else:
                invoked, last = invoked + 1, attempt
                if attempt.function_error is None:
                    return await self._end(event, "Success", invoked, last)
                if retried == policy.retries:
                    return await self._end(event, "RetriesExhausted", invoked, last)
                wait = policy.retry_delays[min(retried, len(policy.retry_delays) - 1)] if policy.retry_delays else 0.0
                retried += 1
            if time.monotonic() + wait > too_old:
                return await self._end(event, "EventAgeExceeded", invoked, last)
            await asyncio.sleep(wait)

    async def _end(self, event: Invocation, condition: str, invoked: int, last: Invocation | None) -> None:
        policy = self._policy
        record = destination_record(
            request_id=event.request_id,
            arn=f"{event.function_arn}:$LATEST" if event.function_arn == self._config.arn else event.function_arn,
            payload=event.payload,
            condition=condition,
            invoked=invoked,
            last=last,
        )
        to = policy.on_success if condition == "Success" else policy.on_failure
        if to is not None:
            await self._deliver(
                to,
                self._targets.destination(
                    to, record, trace_header=event.trace_header, source_arn=record["requestContext"]["functionArn"]
                ),
            )
        if condition != "Success" and policy.dead_letter is not None:
            attributes = dead_letter_attributes(event.request_id, last)
            await self._deliver(
                policy.dead_letter,
                self._targets.dead_letter(policy.dead_letter, event.payload, attributes, event.trace_header),
            )

    async def _deliver(self, arn: str, delivery: Awaitable[None]) -> None:
        try:
            await delivery
        except Exception as error:
            self._on_log(f"the end of an asynchronous invocation did not reach {arn}: {error}")
