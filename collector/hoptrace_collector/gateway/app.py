"""Starts the gateway, on any host: `hoptrace-collector`, or `python -m hoptrace_collector.gateway`."""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from hoptrace_collector.counters import Counters
from hoptrace_collector.gateway.settings import GatewaySettings, Unusable, read_gateway
from hoptrace_collector.settings import Settings, from_environment

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    Returns 0; 1 when something that had been accepted could not be sent before the end; 2 when it could not start.
    """
    counters = Counters()
    for name in ("asyncio", "aiohttp"):  # whatever they would say of strangers is counted
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        gateway = read_gateway(sys.argv[1:] if argv is None else argv)
        settings, complaints = from_environment()
        settings, circles = settings.without_self(gateway.listen.port)
        for complaint in complaints + circles:
            counters.say(complaint, complaint)
        return asyncio.run(_run(settings, gateway, counters))
    except Unusable as error:
        counters.say("unusable", str(error))
        return 2
    except ImportError as error:
        if error.name is None or not error.name.startswith("aiohttp"):
            raise
        counters.say("aiohttp", "the gateway needs aiohttp: pip install 'hoptrace[gateway]'")
        return 2


async def _run(settings: Settings, gateway: GatewaySettings, counters: Counters) -> int:
    from hoptrace_collector.gateway.gateway import Gateway

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    running = Gateway(settings, gateway, counters)
    await running.start()
    loop.add_signal_handler(signal.SIGHUP, _reload, running, counters)
    scheme = "https" if gateway.certificate else "http"
    admin = f"; health and metrics at http://{running.admin}" if running.admin else ""
    counters.say("listening", f"listening for OTLP at {scheme}://{running.address}{admin}")
    await running.work(stop)
    return 1 if await running.finish() else 0


def _reload(running: "object", counters: Counters) -> None:
    """Take tokens and certificate anew: at SIGHUP."""
    from hoptrace_collector.gateway.gateway import Gateway

    assert isinstance(running, Gateway)
    try:
        running.reload()
    except Unusable as error:
        counters.say(f"reload {error}", f"{error}; what was read before stays")
