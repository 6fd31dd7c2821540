"""The kernel's counters: only Lambda's own interfaces are the function's alone."""

import time
from pathlib import Path
from typing import Any

import pytest

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Histogram
from hoptrace_collector.receive.network import Network
from hoptrace_collector.settings import Otlp, Settings, parse_url

from .support import NOW, begin, ended, free_port, span, write

HEAD = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
"""
LINE = "{:>12}: {} 10 0 0 0 0 0 0 {} 20 0 0 0 0 0 0\n"


def table(path: Path, *rows: tuple[str, int, int]) -> Network:
    path.write_text(HEAD + "".join(LINE.format(*row) for row in rows))
    return Network(str(path))


def test_what_lambdas_interfaces_received_and_sent_is_added_up_and_the_loopback_is_not(tmp_path: Path) -> None:
    network = table(tmp_path / "dev", ("lo", 5000, 5000), ("vinternal_1", 100, 23), ("vint_runtime", 7, 0))
    assert network.total() == 130


@pytest.mark.parametrize("rows", [[], [("eth0", 1, 2)], [("vinternal_1", -1, "x")]])
def test_anywhere_else_there_is_no_answer(tmp_path: Path, rows: Any) -> None:
    network = table(tmp_path / "dev", *rows)
    assert network.total() is None
    table(tmp_path / "dev", ("vinternal_1", 100, 23))
    assert network.total() is None, "and it is not asked again"
    assert Network("/nowhere").total() is None


def test_an_invocation_gets_what_went_over_the_network_in_it_and_the_collectors_own_traffic_nobody(
    tmp_path: Path,
) -> None:
    dev = tmp_path / "dev"
    network = table(dev, ("vinternal_1", 1000, 0))
    endpoint = Otlp(parse_url(f"http://127.0.0.1:{free_port()}"))
    now = [NOW - 1]
    collector = Collector(
        Settings(run_dir=str(tmp_path), metrics=endpoint), Counters(lambda _: None), network=network, now=lambda: now[0]
    )

    def invocation(number: int, start: int, total: int) -> None:
        table(dev, ("vinternal_1", total, 0))
        write(
            tmp_path,
            begin(number, f"r{number}"),
            ended(number, f"r{number}") | {"span": span(number, start=start, end=start + 5)},
        )
        now[0] = start + 5
        collector.drain(time.monotonic() + 5)
        table(dev, ("vinternal_1", total + 500_000, 0))
        now[0] += 5
        collector.released()

    invocation(1, NOW, 1300)
    invocation(2, NOW + 100, 501_300 + 42)
    invocation(3, NOW + 50, 1_200_000)  # it had begun before the last one was over: whose is it?
    points = [p for p in collector._metrics.take({}) if isinstance(p, Histogram) and p.name == "faas.net_io"]
    assert [(sum(p.counts), p.total, dict(p.attributes)) for p in points] == [(2, 342.0, {"faas.trigger": "pubsub"})]
