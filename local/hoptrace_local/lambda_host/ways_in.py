"""The ways in beside the plain invocation: asynchronous events, queues that are read, URLs.

What all of them need is kept here, on the host's loop: the pools, the AWS at hand, and the order in which they end.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping

from .async_queue import AsyncQueue
from .aws_clients import AwsClients, AwsEndpoint
from .errors import LambdaHostError
from .function import FunctionPool
from .function_url import FunctionUrl
from .invocation import Invocation, complete_trace_header
from .recursion import LONGEST_CHAIN, counted
from .sqs_source import SqsEventSource, SqsPoller
from .targets import Targets


class WaysIn:
    """Leads events to the pools."""

    def __init__(
        self, pools: Mapping[str, FunctionPool], aws: AwsEndpoint | None, on_log: Callable[[str, str], None]
    ) -> None:
        self._pools = pools
        self._aws = AwsClients(aws) if aws is not None else None
        self._on_log = on_log
        self._targets = Targets(self._aws, self._chained)
        self._queues: dict[str, AsyncQueue] = {}
        self._pollers: list[tuple[str, SqsPoller]] = []
        self._urls: dict[str, FunctionUrl] = {}

    def dispatch(
        self,
        name: str,
        payload: bytes,
        *,
        request_id: str | None = None,
        trace_header: str | None = None,
        client_context: str | None = None,
        qualifier: str | None = None,
        tenant_id: str = "",
        asynchronous: bool = False,
    ) -> Invocation:
        """Start an invocation, or queue it; raises `KeyError` for a function that does not exist."""
        pool = self._pools[name]
        header, dropped = complete_trace_header(trace_header), False
        if pool.config.recursive_loop is not None:
            header, before = counted(header, payload, pool.config.arn)
            dropped = before >= LONGEST_CHAIN and pool.config.recursive_loop == "Terminate"
        invocation = Invocation(
            request_id=request_id or str(uuid.uuid4()),
            payload=payload,
            function_arn=pool.config.arn + (f":{qualifier}" if qualifier else ""),
            trace_header=header,
            client_context=client_context,
            tenant_id=tenant_id,
        )
        if dropped:
            pool.drop(invocation)
        if asynchronous:
            self._queue(name).accept(invocation)
        elif not dropped:
            pool.dispatch(invocation)
        return invocation

    async def settled(self, name: str, timeout: float) -> bool:
        """Wait for the function's asynchronous events, deliveries included, for at most `timeout` seconds."""
        return await self._queue(name).settled(timeout)

    async def read_queue(self, name: str, source: SqsEventSource) -> None:
        """Begin to read a queue; raises `LambdaHostError`."""
        source.check()
        if self._aws is None:
            raise LambdaHostError("a queue needs an AWS endpoint: give LambdaHost(aws=AwsEndpoint(url))")
        poller = SqsPoller(
            source, self._aws, lambda payload: self.dispatch(name, payload), lambda line: self._on_log(name, line)
        )
        await poller.start(self._pools[name].config.timeout)
        self._pollers.append((name, poller))

    async def open_url(self, name: str, host: str, port: int) -> str:
        """Listen for a function; raises `LambdaHostError` when it has its URL already, `OSError` for a taken port."""
        if name in self._urls:
            raise LambdaHostError(f"{name} has a URL already")
        pool = self._pools[name]
        url = FunctionUrl(pool.config, pool.dispatch)
        address = await url.open(host, port)
        self._urls[name] = url
        return address

    async def close(self) -> None:
        """Read and accept no more, while functions still run; the rest is `release`'s."""
        await asyncio.gather(*(poller.shutdown() for _, poller in self._pollers))
        await asyncio.gather(*(queue.shutdown() for queue in self._queues.values()))

    async def release(self) -> None:
        """The functions are gone: close ports and connections."""
        await asyncio.gather(*(url.close() for url in self._urls.values()))
        if self._aws is not None:
            await asyncio.to_thread(self._aws.close)

    def _queue(self, name: str) -> AsyncQueue:
        if name not in self._queues:
            pool = self._pools[name]
            self._queues[name] = AsyncQueue(
                pool.config, pool.dispatch, self._targets, lambda line: self._on_log(name, line)
            )
        return self._queues[name]

    def _chained(self, named: str, payload: bytes, trace_header: str) -> None:
        name = named.partition(":")[0]
        if name not in self._pools:
            raise LambdaHostError(f"this host has no function {name}")
        self.dispatch(name, payload, trace_header=trace_header, asynchronous=True)
