"""What goes wrong beside a gateway's way of the data ends nothing, and what is lost by it is counted."""

import shutil
from pathlib import Path

import pytest

from hoptrace_collector.counters import Counters
from hoptrace_collector.gateway.outlets import Outlets
from hoptrace_collector.gateway.senders import Senders
from hoptrace_collector.gateway.settings import GatewaySettings
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.receive.otlp import Batch, parse
from hoptrace_collector.settings import read
from tests.collector.support import NOW, Backend, free_port, spans_of

from .support import ANY, PROTOBUF, Running, traces
from .test_gateway import wait


def test_whoever_clears_the_spool_ends_no_gateway(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with Backend() as backend, Running(backend, spool=str(spool)) as gateway:
        shutil.rmtree(spool)
        gateway.tick()
        assert gateway.post(traces((1, NOW, NOW + 1)))[0] == 200
        wait(lambda: len(spans_of(backend)) == 1)
        assert gateway.stop() == 0
        assert gateway.counters.total("errors", "spool") >= 1


def test_an_error_in_its_own_work_keeps_no_gateway_from_sending_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("of ours")

    with Backend() as backend, Running(backend) as gateway:
        monkeypatch.setattr(gateway.gateway._peaks, "close", broken)
        gateway.post(traces((1, NOW, NOW + 1)))
        gateway.tick(last=True)
        assert gateway.stop() == 0
        assert len(spans_of(backend)) == 1
        assert gateway.counters.total("errors", "tick") == 2


@pytest.mark.parametrize("troubled", [False, True])
def test_what_was_held_goes_to_every_destination_or_is_counted(monkeypatch: pytest.MonkeyPatch, troubled: bool) -> None:
    """One was away and full when a trace was taken, and answers again when that is decided about."""
    settings, complaints = read(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "HOPTRACE_DESTINATIONS": "second,third",
            "HOPTRACE_DESTINATION_SECOND_ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "HOPTRACE_DESTINATION_THIRD_ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "HOPTRACE_SAMPLING_RATIO": "0.999999",
            "HOPTRACE_SAMPLING_KEEP": "error",
        }
    )
    assert complaints == []
    assert settings.sampling is not None
    counters = Counters(lambda _: None)
    outlets = Outlets(settings, GatewaySettings(listen=ANY, admin=None, queue_bytes=2000, senders=1), counters)
    first, second, third = outlets._of["traces"]
    second.backlog.put(Batch("traces", [Part(b"x" * 1500, 1)]))
    away = {second}
    monkeypatch.setattr(Senders, "troubled", property(lambda self: self in away))
    batch = parse("traces", PROTOBUF, "", traces((1, NOW, NOW + 1), (1, NOW, NOW + 2)), 10**6)
    assert outlets.put(batch) == "taken"
    if not troubled:
        away.clear()
    outlets.decide(last=True)

    def amount(senders: Senders) -> int:
        return sum(item.amount for item in senders.backlog.take(10**6, 0.0))

    assert amount(first) == amount(third) == 2
    assert amount(second) - 1 + counters.total("destination_dropped") == 2
