"""Puts the gateway together: what receives, what waits, what sends, and what is counted, in the order of the data."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from aiohttp import web

from hoptrace_collector.counters import DROPPED, Counters
from hoptrace_collector.export.encode import encode_metrics
from hoptrace_collector.gateway.concurrency import points
from hoptrace_collector.gateway.door import Door
from hoptrace_collector.gateway.exposition import CONTENT_TYPE, exposition
from hoptrace_collector.gateway.intake import Intake
from hoptrace_collector.gateway.outlets import Outlets
from hoptrace_collector.gateway.peaks import Interval, Peak, Peaks
from hoptrace_collector.gateway.settings import Address, GatewaySettings, Unusable
from hoptrace_collector.gateway.spool import Spool
from hoptrace_collector.gateway.tokens import read_tokens
from hoptrace_collector.metrics_table import own_row
from hoptrace_collector.model import Histogram, Number
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.pipeline.flush import SIGNALS
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.otlp import Batch
from hoptrace_collector.settings import Settings

__all__ = ["Gateway"]

_TICK = 1.0
_BACKLOG = 1024
# The share of the time to stop in that requests under way may take.
_FOR_REQUESTS = 0.25


class Gateway:
    """Receives, sends and counts until it is told to stop. Implements `receive.answers.Takes`."""

    def __init__(
        self,
        settings: Settings,
        gateway: GatewaySettings,
        counters: Counters,
        *,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.limit = gateway.request_bytes
        self._settings = settings
        self._gateway = gateway
        self._counters = counters
        self._now = now
        self._door = Door(counters, gateway.connections, gateway.idle_timeout)
        self._intake = Intake(gateway, self, counters, self._observe)
        self._outlets = Outlets(settings, gateway, counters)
        self._spool = Spool(gateway.spool, counters)
        self._peaks = Peaks(int(gateway.window * 1e9), int(gateway.lateness * 1e9))
        self._told: list[Interval] | None = None
        self._begun = now()
        self._metrics_due = time.monotonic() + settings.metric_interval
        self._resource = (*_known(), *settings.resource)
        self._servers: list[tuple[asyncio.Server, web.Server]] = []
        self._tls: ssl.SSLContext | None = None

    async def start(self) -> None:
        """Begin to send and to receive; raises Unusable when it cannot."""
        gateway = self._gateway
        self.reload()
        try:
            self._spool.prepare()
        except OSError as error:
            raise Unusable(f"HOPTRACE_GATEWAY_SPOOL={gateway.spool} cannot be written to ({error.strerror})") from None
        if not any(self._outlets.goes(signal.name) for signal in SIGNALS):
            self._counters.say("no endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT is not set: what is received goes nowhere")
        self._outlets.start()
        self._take_back()
        asyncio.get_running_loop().set_exception_handler(self._failed)
        self.address = await self._listen(gateway.listen, self._door.server(self._intake.answer), self._tls)
        self.admin = None
        if gateway.admin is not None:
            door = Door(self._counters, gateway.connections, gateway.idle_timeout)
            self.admin = await self._listen(gateway.admin, door.server(self._administer), None)
        self._intake.ready = True

    def reload(self) -> None:
        """Read tokens and certificate again; raises Unusable and keeps what it had."""
        tokens = read_tokens(self._gateway.tokens_file)
        if self._gateway.certificate:
            self._tls = _certified(self._gateway, self._tls)
        self._intake.tokens = tokens
        if not tokens and not self._gateway.listen.here:
            self._counters.say(
                "open",
                f"anybody who reaches {self._gateway.listen} may send: set HOPTRACE_GATEWAY_TOKENS_FILE, unless the "
                "network keeps others away",
            )

    async def work(self, stop: asyncio.Event) -> None:
        """Close windows and export metrics until `stop` is set."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), _TICK)
            except TimeoutError:
                await self.tick()

    async def finish(self) -> int:
        """Take nothing more, send what was taken, within the time to drain; returns how many items are left."""
        deadline = time.monotonic() + self._gateway.drain
        self._intake.ready = False
        await self._stop_listening()
        for _, server in self._servers:
            server.pre_shutdown()  # connections that wait for their next request
        await asyncio.gather(*(server.shutdown(self._gateway.drain * _FOR_REQUESTS) for _, server in self._servers))
        await self.tick(last=True)
        return self._left(await self._outlets.finish(deadline))

    def put(self, batch: Batch) -> str:
        """Keep a batch to be sent: `taken`, `full` or `nowhere`."""
        return self._outlets.put(batch)

    async def tick(self, *, last: bool = False) -> None:
        """Close the windows that are due, and export metrics when they are; an error of ours ends nothing."""
        try:
            await self._tick(last=last)
        except Exception as error:
            self._counters.failed("tick", error)

    async def _tick(self, *, last: bool) -> None:
        if not last:
            self._take_back()
        self._outlets.decide(last=last)
        peaks = await self._close(last=last)
        if peaks:
            self._export(points(peaks, self._gateway.limits))
        if last or time.monotonic() >= self._metrics_due:
            self._metrics_due = time.monotonic() + self._settings.metric_interval
            self._export(self._own())

    async def _close(self, *, last: bool) -> list[Peak]:
        """Close windows in a thread: of many invocations it takes a while. What is told meanwhile waits."""
        if not last and not self._peaks.due(self._now()):
            return []
        self._told = []
        try:
            work = partial(self._peaks.close, self._now(), last=last)
            return await asyncio.get_running_loop().run_in_executor(None, work)
        finally:
            told, self._told = self._told, None
            self._observe(told)

    def _observe(self, seen: Iterable[Interval]) -> None:
        if self._told is not None:
            self._told.extend(seen)
            return
        now = self._now()
        for interval in seen:
            reason = self._peaks.add(interval, now)
            self._counters.add("invocations", reason or "in_time")
            if reason in ("full", "functions"):
                self._counters.say(
                    f"peaks {reason}",
                    "more invocations or functions than are counted here: the peak concurrency is too low. Use a "
                    "shorter HOPTRACE_CONCURRENCY_LATENESS or several gateways, each for some of the functions",
                )

    def _own(self) -> list[Number | Histogram]:
        start, end = self._begun, max(self._now(), self._begun + 1)
        self._begun = end
        own: list[Number | Histogram] = []
        for (kind, reason), count in self._counters.take().items():
            row, attributes = own_row(kind), (("reason", reason),) if reason else ()
            own.append(Number("sum", row.name, row.unit, row.description, attributes, count, start, end))
        for name, (description, by_signal) in self._gauges().items():
            for signal, value in by_signal.items():
                attributes = (("signal", signal),) if signal else ()
                own.append(Number("gauge", name.replace("_", "."), "By", description, attributes, value, start, end))
        return own

    def _export(self, numbers: Iterable[Number | Histogram]) -> None:
        some = list(numbers)
        if not some or not self._outlets.goes("metrics"):
            return
        # Nobody counts our own: an amount of 0.
        batch = Batch("metrics", [Part(encode_metrics(self._resource, some), 0)])
        if self._outlets.put(batch) != "taken":
            self._counters.add("metrics_dropped", "queue_full", len(some))

    def _gauges(self) -> dict[str, tuple[str, dict[str, float]]]:
        used = self._outlets.used()
        return {
            "hoptrace_queue_used": ("Bytes that wait to be sent.", {name: each[0] for name, each in used.items()}),
            "hoptrace_queue_limit": ("Bytes that may wait.", {name: each[1] for name, each in used.items()}),
        }

    async def _administer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path in ("/healthz", "/readyz"):
            return self._intake.health(request.path)
        if request.path != "/metrics":
            return web.Response(status=404, text="there are /healthz, /readyz and /metrics\n")
        gauges: dict[str, tuple[str, dict[str, float]]] = self._gauges()
        gauges["hoptrace_connections"] = ("Connections that are open.", {"": float(self._door.connections)})
        gauges["hoptrace_concurrency_held"] = ("Invocations in open windows.", {"": float(self._peaks.held)})
        page = exposition(self._counters.totals(), gauges) + _process()
        return web.Response(body=page.encode(), headers={"content-type": CONTENT_TYPE})

    async def _listen(self, address: Address, server: web.Server, tls: ssl.SSLContext | None) -> Address:
        try:
            listening = await asyncio.get_running_loop().create_server(
                server,
                address.host or "",
                address.port,
                ssl=tls,
                backlog=_BACKLOG,
                ssl_handshake_timeout=self._gateway.request_timeout if tls else None,
            )
        except OSError as error:
            raise Unusable(f"{address} cannot be listened on ({error.strerror or error})") from None
        self._servers.append((listening, server))
        return address._replace(port=listening.sockets[0].getsockname()[1])

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count what asyncio would log, such as handshakes that strangers break off."""
        error = context.get("exception")
        if isinstance(error, OSError):
            self._counters.add("otlp_refused", "broken_off")
        else:
            self._counters.failed(
                "asyncio", error if isinstance(error, Exception) else RuntimeError(context["message"])
            )

    async def _stop_listening(self) -> None:
        """Accept nothing more; what was accepted becomes a connection first, or asyncio would leave it lying open."""
        loop = asyncio.get_running_loop()
        for listening, _ in self._servers:
            for each in listening.sockets:
                loop.remove_reader(each.fileno())
        await asyncio.sleep(0.01)
        for listening, _ in self._servers:
            listening.close()

    def _take_back(self) -> None:
        """Take in what an earlier process could not send; what has no room yet waits where it is."""
        try:
            given = self._spool.give_back(self._outlets.put_back)
        except OSError as error:  # such as by somebody who has cleared the folder
            self._counters.failed("spool", error)
            return
        if given:
            self._counters.say("spool back", f"{given} requests' data of an earlier process are sent now")

    def _left(self, found: list[tuple[str, list[Item]]]) -> int:
        count = 0
        for signal, items in found:
            if lost := self._spool.keep(signal, items):
                kind = next(each.counter(DROPPED) for each in SIGNALS if each.name == signal)
                self._counters.add(kind, "stopped", sum(item.amount for item in lost))
                count += len(lost)
        if count:
            self._counters.say(
                "left",
                f"stopped with {count} requests' data unsent, since the backend did not take it in time: it is lost. "
                "A longer HOPTRACE_GATEWAY_DRAIN_TIMEOUT may help, and HOPTRACE_GATEWAY_SPOOL keeps it",
            )
        return count


def _known() -> tuple[tuple[str, str], ...]:
    return (("service.name", "hoptrace-gateway"), ("host.name", os.uname().nodename))


def _certified(gateway: GatewaySettings, known: ssl.SSLContext | None) -> ssl.SSLContext:
    context = known or ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(gateway.certificate, gateway.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise Unusable(f"{gateway.certificate} and {gateway.key} are no certificate with its key ({reason})") from None
    return context


def _process() -> str:
    """What Prometheus's own clients say of a process."""
    with open("/proc/self/statm", "rb") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return (
        "# TYPE process_cpu_seconds_total counter\n"
        f"process_cpu_seconds_total {time.process_time():.6f}\n"
        "# TYPE process_resident_memory_bytes gauge\n"
        f"process_resident_memory_bytes {resident}\n"
    )
