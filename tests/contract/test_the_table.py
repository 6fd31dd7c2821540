"""The contract has a row for every carrier, for every call that one is written into, and for every trigger."""

from __future__ import annotations

import pkgutil

import pytest

import hoptrace.carriers
from hoptrace.services import SERVICES
from hoptrace.services import service as rows_of
from hoptrace.settings import OPT_IN, Settings
from hoptrace.triggers import TRIGGERS
from tests.contract import table
from tests.docs.test_hops_page import hops
from tests.support.parts import REPOSITORY

CARRIERS = {module.name for module in pkgutil.iter_modules(hoptrace.carriers.__path__)} - set(hops.SHARED)
CALLS = {
    (service, operation)
    for service, entry in ((name, rows_of(name)) for name in SERVICES)
    for operation, row in entry.rows.items()
    if row.inject is not None
}


@pytest.mark.parametrize("carrier", sorted(CARRIERS))
def test_every_carrier_is_tested_by_sending(carrier: str) -> None:
    assert carrier in {way.carrier for way in table.WAYS} | set(table.ELSEWHERE)


@pytest.mark.parametrize(("service", "operation"), sorted(CALLS))
def test_every_call_that_a_context_is_written_into_is_made(service: str, operation: str) -> None:
    ways = {(way.service, way.operation) for way in table.WAYS}
    others = {(service, name) for calls in table.ELSEWHERE.values() for service, name in calls}
    assert (service, operation) in ways | others


def test_the_table_names_nothing_that_is_not_there() -> None:
    assert {way.carrier for way in table.WAYS} | set(table.ELSEWHERE) <= CARRIERS
    assert {(way.service, way.operation) for way in table.WAYS} <= CALLS
    assert {call for calls in table.ELSEWHERE.values() for call in calls} <= CALLS
    assert all((REPOSITORY / "tests" / "contract" / f"{name}.py").exists() for name in table.FILES)


def test_opt_in_is_what_the_services_say() -> None:
    for way in table.WAYS:
        assert way.opt_in == rows_of(way.service).rows[way.operation].opt_in, way


def test_what_can_be_asked_for_is_what_a_service_asks_about() -> None:
    """Of Step Functions' calls one is on without being asked for; an authorizer is no service."""
    asked = {name for name in SERVICES if any(row.opt_in for row in rows_of(name).rows.values())}
    assert asked | {"authorizer"} == set(OPT_IN)


def test_a_service_that_is_not_known_gives_one_line_and_the_others_stay(capfd: pytest.CaptureFixture[str]) -> None:
    assert Settings({"HOPTRACE_INJECT_ENABLED": "step-functions, Kinesis"}).inject_enabled == {"kinesis"}
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(
        "hoptrace: HOPTRACE_INJECT_ENABLED: 'step-functions' is none of kinesis, firehose, stepfunctions"
    )


def test_every_trigger_has_an_event_as_aws_sends_it() -> None:
    import sys

    sys.path.insert(0, str(REPOSITORY / "tests" / "triggers"))
    try:
        from golden import EXPECTED
    finally:
        sys.path.pop(0)
    assert {name for name, _, _ in TRIGGERS} <= {expected[0] for expected in EXPECTED.values()}
