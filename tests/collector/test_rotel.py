"""Export, read back by rotel, an OTLP receiver that others wrote."""

from pathlib import Path

import pytest

from tests.support import rotel

from .support import Collector, Lambda, begin, ended, inner, tracer_bell, write

pytestmark = pytest.mark.skipif(bool(rotel.unavailable()), reason=f"rotel: {rotel.unavailable()}")


@pytest.mark.parametrize(
    ("protocol", "compression"), [("http/protobuf", "none"), ("http/protobuf", "gzip"), ("http/json", "gzip")]
)
def test_rotel_understands_every_field_of_what_is_exported(tmp_path: Path, protocol: str, compression: str) -> None:
    run_dir = tmp_path / "run"
    with (
        rotel.running(tmp_path) as receiver,
        Lambda() as host,
        tracer_bell(run_dir) as ring,
        Collector(
            host,
            run_dir,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_COMPRESSION=compression,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        ) as collector,
    ):
        host.wait_for_next()
        host.invoke()
        attributes = {
            "text": "grüße \ud83d\ude80 \ud800",
            "flag": True,
            "whole": 2**63,
            "broken": 1.5,
            "list": ["a", 2],
            "nested": {"deep": {"er": 1}},
        }
        event = {"name": "exception", "time": 5, "attributes": {"exception.type": "KeyError"}}
        link = {"trace_id": "ef" * 16, "span_id": "12" * 8, "attributes": {"messaging.message.id": "m-1"}}
        write(run_dir, begin(1), inner(2, name="process orders", attributes=attributes, events=[event], links=[link]))
        write(run_dir, ended(1, outcome="error", status=[2, "no such order"]))
        ring()
        host.wait_for_next()
        host.shut_down()
        assert collector.end() == ""
        for text in (
            "service.name: Str(shipping)",
            "text: Str(grüße 🚀 ?)",
            "flag: Bool(true)",
            "whole: Str(9223372036854775808)",
            "messaging.message.id: Str(m-1)",
            "exception.type: Str(KeyError)",
            "no such order",
        ):
            assert receiver.wait_for(text), receiver.log[-4000:]
        assert sorted(receiver.names())[-2:] == ["process orders", "shipping"], receiver.names()
