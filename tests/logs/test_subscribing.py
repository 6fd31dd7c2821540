"""What is asked of the Telemetry API, by the collector where there is no shell; by the shell in `test_shipping`."""

from pathlib import Path

import pytest

from hoptrace_collector.settings import read
from tests.collector.support import Collector, Lambda


@pytest.mark.parametrize(
    ("value", "types", "patience"),
    [("", ["platform"], 1000), ("none", ["platform"], 1000), (" OTLP ", ["platform", "function"], 25)],
)
def test_the_functions_logs_are_subscribed_to_only_when_they_are_asked_for(
    tmp_path: Path, value: str, types: list[str], patience: int
) -> None:
    with Lambda() as host, Collector(host, tmp_path / "run", HOPTRACE_LOGS=value) as collector:
        host.wait_for_next()
        host.shut_down()
        collector.end()
    (subscription,) = host.subscriptions
    assert subscription["types"] == types
    assert subscription["buffering"]["timeoutMs"] == patience


def test_a_value_that_is_neither_is_complained_of_and_nothing_is_shipped() -> None:
    settings, complaints = read({"HOPTRACE_LOGS": "cloudwatch"})
    assert not settings.function_logs
    assert complaints == ["HOPTRACE_LOGS='cloudwatch' is not otlp or none; the default is used"]
