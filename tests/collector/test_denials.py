"""Operations that a function's policy does not allow: the metric and the alert, from the call on."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hoptrace
from hoptrace.testing import LambdaContext, recorder
from hoptrace_collector.model import Denied, Invocation
from hoptrace_collector.receive.decode import decode
from tests.clients.conftest import Wire
from tests.sampling.test_what_is_sent import collected

from .test_alerts import NOW, Rig, invocation

DELETE = "dynamodb:DeleteTable"
QUIET = 300 * 10**9


def denied(*operations: str, mode: str = "observe", error: str = "", at: int = NOW) -> Invocation:
    return invocation(error, at=at)._replace(denied=tuple(Denied("r1", mode, each) for each in operations))


def told(details: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["rule"], each["labels"].get("operation", ""), each["state"]["value"]) for each in details]


def test_the_first_attempt_is_told_and_the_next_ones_are_not(tmp_path: Path) -> None:
    details = Rig(tmp_path).see(
        denied(DELETE), denied(DELETE, at=NOW + 1), invocation(at=NOW + 2), denied(DELETE, "s3:X")
    )
    assert told(details) == [("operation-denied", DELETE, "ALARM"), ("operation-denied", "s3:X", "ALARM")]
    first = details[0]
    assert first["severity"] == "warning" and first["evidence"]["observed"] == {"mode": "observe"}
    assert first["alertName"] == f"operation-denied:shipping:{DELETE}" and first["evidence"]["error.type"] == ""
    assert first["state"]["reason"] == f"the policy does not allow an operation; operation is {DELETE}; mode is observe"


def test_it_is_over_when_five_minutes_have_passed_without_another(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    later = NOW + QUIET - 1
    rig.see(denied(DELETE), denied(DELETE, at=later), invocation(at=later + QUIET - 1))
    assert len(rig.channel.entries) == 1
    details = rig.see(invocation(at=later + QUIET))
    assert [value for _, _, value in told(details)] == ["ALARM", "OK"]
    assert details[1]["previousState"]["value"] == "ALARM"


def test_a_blocked_call_that_fails_the_invocation_is_two_alerts_and_each_ends_by_its_own_rule(tmp_path: Path) -> None:
    details = Rig(tmp_path).see(denied(DELETE, mode="block", error="hoptrace.Denied"), invocation(at=NOW + 1))
    assert told(details) == [
        ("error", "", "ALARM"),
        ("operation-denied", DELETE, "ALARM"),
        ("error", "", "OK"),
    ]
    assert details[1]["evidence"]["error.type"] == "hoptrace.Denied"
    assert details[1]["evidence"]["observed"]["mode"] == "block"


def test_the_state_survives_a_reset(tmp_path: Path) -> None:
    Rig(tmp_path).see(denied(DELETE))
    assert Rig(tmp_path).see(denied(DELETE, at=NOW + 5)) == []


@pytest.mark.parametrize(("mode", "sampler"), [("observe", ""), ("block", ""), ("block", "always_off")])
def test_from_the_call_to_the_metric_and_to_the_invocation(mode: str, sampler: str, tmp_path: Path) -> None:
    environ = {"HOPTRACE_POLICY": mode, "HOPTRACE_POLICY_DENY": "dynamodb:Delete*"}
    with recorder({**environ, "OTEL_TRACES_SAMPLER": sampler} if sampler else environ) as recorded:
        wire = Wire("dynamodb")

        @hoptrace.trace
        def handler(_event: Any, _context: Any) -> None:
            for _ in range(2):
                try:
                    wire.client.delete_table(TableName="orders")
                except hoptrace.Denied:
                    assert mode == "block"

        handler({}, LambdaContext())
        records = recorded.records
    assert len(wire.requests) == (0 if mode == "block" else 2)
    lines = [record for record in records if record["type"] == "denied"]
    assert [(each["mode"], each["operation"], each["rule"]) for each in lines] == [
        (mode, DELETE, "dynamodb:delete*")
    ] * 2
    end = next(record for record in records if record["type"] == "end")
    assert {each["request_id"] for each in lines} == {end["request_id"]}
    assert end["span"]["attributes"]["hoptrace.policy.denied_count"] == 2
    _, numbers = collected(tmp_path / "run", *records)
    assert numbers["hoptrace.policy.denied"] == 2 and numbers["faas.invocations"] == 1


@given(st.dictionaries(st.sampled_from(("operation", "mode", "request_id")), st.none() | st.integers() | st.text()))
def test_whatever_stands_in_a_record_is_bounded(found: dict[str, Any]) -> None:
    record = decode({"v": 1, "type": "denied", **found})
    assert record is None or (isinstance(record, Denied) and record.mode in ("observe", "block") and record.operation)
