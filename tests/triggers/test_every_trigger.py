"""Every row of the table reads its golden events, recorded and live, as the table of expectations says."""

import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from golden import EXPECTED, FOLDER, load, summary
from real_aws import RealAws
from rooms import all_scenarios

from hoptrace.triggers import TRIGGERS, identify


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAws]:
    aws = RealAws(tmp_path_factory.mktemp("ministack"))
    yield aws
    aws.close()


@pytest.mark.parametrize("row", TRIGGERS, ids=lambda row: row[0])
def test_every_row_has_a_reader_and_a_golden_event(row: Any) -> None:
    name, fits, module = row
    assert callable(fits)
    assert callable(importlib.import_module(f"hoptrace.triggers.{module}").read)
    assert name in {expected[0] for expected in EXPECTED.values()}


def test_every_golden_event_has_an_expectation() -> None:
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*/*.json")}
    assert files == set(EXPECTED)


@pytest.mark.parametrize("file", EXPECTED)
def test_a_golden_event_is_read_as_expected(file: str) -> None:
    assert summary(identify(load(file))) == EXPECTED[file]


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda scenario: scenario.__name__)
def test_what_an_emulator_delivers_now_is_read_as_its_golden_event(scenario: Any, aws: RealAws) -> None:
    before = time.time_ns()
    arrival = identify(scenario(aws))
    after = time.time_ns()

    assert summary(arrival) == EXPECTED[f"recorded/{scenario.__name__}.json"]
    for record in arrival.records:
        for hop in record.hops:
            start, end = hop.times(after)
            # Services write milliseconds at best, so a hop may begin within the one before what began it.
            assert before - 1_000_000 <= start <= end <= after, hop.name


@pytest.mark.parametrize("file", [file for file in EXPECTED if EXPECTED[file][0] != "other"])
def test_no_golden_event_fits_a_row_further_down_when_its_own_is_taken_out(file: str) -> None:
    """Two rows may fit one event only where the table's order says which wins."""
    from hoptrace.shape import Shape

    fitting = [name for name, fits, _ in TRIGGERS if fits(Shape(load(file)))]
    assert fitting[0] == EXPECTED[file][0]
    assert set(fitting[1:]) <= {"eventbridge", "api_gateway_http", "api_gateway_rest", "websocket", "pipes"}


def test_names_are_unique_and_files_exist() -> None:
    names = [name for name, _, _ in TRIGGERS]
    assert len(names) == len(set(names))
    import hoptrace.triggers

    folder = Path(hoptrace.triggers.__file__).parent
    assert all((folder / f"{module}.py").is_file() for _, _, module in TRIGGERS)
