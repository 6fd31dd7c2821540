"""The Lambda on the desk as its users see it: add functions, invoke them, look at them, shut down.

A synchronous face over one thread that runs everything; calls may come from many threads at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from aiohttp import web

from .aws_clients import AwsEndpoint
from .config import EnvironmentInfo, FunctionConfig, FunctionStats, InvokeResult
from .desk import Desk
from .errors import LambdaHostError
from .function import FunctionPool
from .guardian import Guardian
from .handler_file import check_handler_file
from .http_front import HttpFront
from .layers import lay_over
from .ports import PortPool
from .sqs_source import SqsEventSource
from .telemetry_events import Event
from .unlimited_request import unlimited
from .var_runtime import find_interpreter, make_lang_bin, make_var_runtime
from .ways_in import WaysIn

T = TypeVar("T")


class LambdaHost:
    """Runs functions in real processes with the unmodified runtime client; a context manager."""

    def __init__(
        self,
        functions: Iterable[FunctionConfig] = (),
        *,
        state_dir: Path | None = None,
        on_log: Callable[[str, str], None] | None = None,
        host: str = "127.0.0.1",
        aws: AwsEndpoint | None = None,
    ) -> None:
        """`on_log(function, line)` hears every line of output, on the host's thread; `serve` listens on `host`.

        `aws` is where queues are read and destinations are; without it there are neither.
        """
        self._made_state_dir = state_dir is None
        self._state_dir = (
            Path(tempfile.mkdtemp(prefix="hoptrace-lambda-")) if state_dir is None else state_dir.absolute()
        )
        self._on_log = on_log
        self._host = host
        self._pools: dict[str, FunctionPool] = {}
        self._ways = WaysIn(self._pools, aws, self._log)
        self._ports = PortPool()
        self._guardian = Guardian()
        self._session: aiohttp.ClientSession | None = None
        self._front: asyncio.Server | None = None
        self._front_web: web.Server | None = None
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lambda-host", daemon=True)
        self._thread.start()
        try:
            self._call(self._open())
            for function in functions:
                self.add(function)
        except BaseException:
            self.shutdown()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def add(self, function: FunctionConfig) -> None:
        """Make a function known; raises `LambdaHostError` for what could never run."""
        if function.name in self._pools:
            raise LambdaHostError(f"a function named {function.name} is there already: give the other one its own name")
        if not function.code.is_dir():
            raise LambdaHostError(f"the code folder {function.code} of {function.name} does not exist")
        interpreter = find_interpreter(function.python)
        folder = self._state_dir / function.name
        opt = folder / "opt"
        shutil.rmtree(opt, ignore_errors=True)
        lay_over(function.layers, opt)
        if function.check_handler:
            check_handler_file(function, opt)
        desk = Desk(
            config=_with_absolute_code(function),
            interpreter=interpreter,
            opt=opt,
            var_runtime=make_var_runtime(interpreter, self._state_dir),
            lang_bin=make_lang_bin(interpreter, folder / "lang" / "bin"),
            guardian=self._guardian,
            session=self._open_session,
            take_port=self._ports.take,
            on_event=(events := list[Event]()).append,
            on_log=lambda line: self._log(function.name, line),
        )
        self._pools[function.name] = FunctionPool(desk, folder / "environments", events)

    def invoke(
        self,
        name: str,
        payload: bytes,
        *,
        request_id: str | None = None,
        trace_header: str | None = None,
        client_context: str | None = None,
        qualifier: str | None = None,
        tenant_id: str = "",
    ) -> InvokeResult:
        """Invoke a function and wait until it was answered and its environment is free again.

        `client_context` is JSON text, `qualifier` an alias or version for the ARN that the function sees. With a
        `tenant_id` the environment is that tenant's and never another's (tenant isolation).
        """
        self._pool(name)

        async def run() -> InvokeResult:
            invocation = self._ways.dispatch(
                name,
                payload,
                request_id=request_id,
                trace_header=trace_header,
                client_context=client_context,
                qualifier=qualifier,
                tenant_id=tenant_id,
            )
            await invocation.released.future
            return invocation.result()

        return self._call(run())

    def invoke_async(
        self, name: str, payload: bytes, *, request_id: str | None = None, trace_header: str | None = None
    ) -> str:
        """Queue an event and return its request id at once; retries and destinations are the function's own."""
        self._pool(name)
        return self._read(
            lambda: (
                self._ways.dispatch(
                    name, payload, request_id=request_id, trace_header=trace_header, asynchronous=True
                ).request_id
            )
        )

    def settle(self, name: str, timeout: float = 30.0) -> bool:
        """Wait until no asynchronous event of the function is left; whether that was so within `timeout` seconds."""
        self._pool(name)
        return self._call(self._ways.settled(name, timeout))

    def add_event_source(self, name: str, source: SqsEventSource) -> None:
        """Read a queue for the function until the host ends; raises `LambdaHostError` for what Lambda would refuse."""
        self._pool(name)
        self._call(self._ways.read_queue(name, source))

    def initialize(self, name: str, count: int = 1) -> None:
        """Start environments ahead of any invocation, as provisioned concurrency does."""
        self._call(self._pool(name).initialize(count))

    def stats(self, name: str) -> FunctionStats:
        """What was counted for the function."""
        return self._read(self._pool(name).stats)

    def environments(self, name: str) -> list[EnvironmentInfo]:
        """The function's environments, oldest first."""
        return self._read(self._pool(name).environments)

    def telemetry(self, name: str) -> list[Event]:
        """Every telemetry event of the function's environments, in order."""
        return self._read(lambda: list(self._pool(name).events))

    def kill_runtime(self, name: str, environment_id: str | None = None, sig: int = signal.SIGKILL) -> None:
        """Send a signal to a runtime: the given environment's, or that of the busy one."""

        def kill() -> None:
            environment = self._pool(name).find(environment_id)
            if environment is None:
                raise LambdaHostError(f"{name} has no environment {environment_id or ''}".rstrip())
            environment.signal_runtime(sig)

        self._read(kill)

    def shutdown(self, name: str | None = None) -> None:
        """Let running invocations end, then spin down one function's environments, or all of them and the host."""
        if self._closed:
            return
        if name is not None:
            self._call(self._pool(name).shutdown())
            return
        self._closed = True
        try:
            self._call(self._close())
        finally:
            self._guardian.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            if self._made_state_dir:
                shutil.rmtree(self._state_dir, ignore_errors=True)

    def serve(self, port: int = 0) -> int:
        """Listen for invocations over HTTP and return the port; raises `LambdaHostError` when it is taken."""
        if self._front is not None:
            raise LambdaHostError(f"this host listens already, on port {self._front.sockets[0].getsockname()[1]}")
        return self._listen(port, self._serve(port))

    def serve_url(self, name: str, port: int = 0) -> str:
        """Give the function a URL of its own and return it; raises `LambdaHostError` when the port is taken."""
        self._pool(name)
        return self._listen(port, self._ways.open_url(name, self._host, port))

    # -- on the host's thread -------------------------------------------------------------------------------------

    async def _open(self) -> None:
        # A frozen listener answers late, and a connection that was kept open may belong to a process that is gone.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )

    async def _serve(self, port: int) -> int:
        front_web = web.Server(HttpFront(self._ways.dispatch).handle, request_factory=unlimited, access_log=None)
        self._front = await self._loop.create_server(front_web, self._host, port)
        self._front_web = front_web
        return int(self._front.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        if self._front is not None:
            self._front.close()
        await self._ways.close()
        await asyncio.gather(*(pool.shutdown() for pool in self._pools.values()))
        await self._ways.release()
        if self._front_web is not None:
            await self._front_web.shutdown(1)
        if self._session is not None:
            await self._session.close()

    # -- between threads ------------------------------------------------------------------------------------------

    def _call(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _listen(self, port: int, work: Coroutine[None, None, T]) -> T:
        try:
            return self._call(work)
        except OSError as error:
            raise LambdaHostError(
                f"cannot listen on {self._host}:{port} ({error.strerror}): "
                "end what uses the port, or take port 0 for a free one"
            ) from error

    def _read(self, question: Callable[[], T]) -> T:
        async def ask() -> T:
            return question()

        return self._call(ask())

    def _pool(self, name: str) -> FunctionPool:
        if name not in self._pools:
            raise LambdaHostError(
                f"there is no function named {name}: this host has {', '.join(self._pools) or 'none'}"
            )
        return self._pools[name]

    @property
    def _open_session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    def _log(self, name: str, line: str) -> None:
        if self._on_log is not None:
            self._on_log(name, line)


def _with_absolute_code(function: FunctionConfig) -> FunctionConfig:
    return dataclasses.replace(function, code=Path(os.path.abspath(function.code)))
