"""boto3 clients of whatever AWS is at hand, usually an emulator's endpoint; calls run beside the host's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

_CALLS_AT_ONCE = 32


@dataclass(frozen=True)
class AwsEndpoint:
    """Where queues, topics and buses are: one URL for all services, and credentials for it."""

    url: str
    region: str = "us-east-1"
    access_key_id: str = "test"
    secret_access_key: str = "test"  # noqa: S105 - emulators take any


class AwsClients:
    """Makes each client once; belongs to the host."""

    def __init__(self, endpoint: AwsEndpoint) -> None:
        self._endpoint = endpoint
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()
        self._threads = ThreadPoolExecutor(_CALLS_AT_ONCE, "lambda-host-aws")

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call of boto3's `operation`; raises what boto3 raises."""

        def run() -> dict[str, Any]:
            method: Callable[..., dict[str, Any]] = getattr(self._client(service), operation)
            return method(**parameters)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def close(self) -> None:
        """Wait for the calls that run and drop the connections."""
        self._threads.shutdown()
        for client in self._clients.values():
            client.close()

    def _client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        with self._making:
            if service not in self._clients:
                endpoint = self._endpoint
                make: Any = boto3.client
                self._clients[service] = make(
                    service,
                    endpoint_url=endpoint.url,
                    region_name=endpoint.region,
                    aws_access_key_id=endpoint.access_key_id,
                    aws_secret_access_key=endpoint.secret_access_key,
                    config=Config(
                        connect_timeout=5,
                        read_timeout=30,
                        max_pool_connections=_CALLS_AT_ONCE,
                        retries={"total_max_attempts": 2},
                        proxies={},
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service]
