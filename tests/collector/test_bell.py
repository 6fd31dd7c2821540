"""The bell: a ring, nobody there, or too late."""

import os
import threading
import time
from pathlib import Path

import pytest

from hoptrace_collector.receive.bell import Bell, prepare

from .support import tracer_bell


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    prepare(str(tmp_path / "run"))
    return tmp_path / "run"


def test_the_run_directory_is_for_its_owner_only(run_dir: Path) -> None:
    assert run_dir.stat().st_mode & 0o777 == 0o700
    assert prepare(str(run_dir)) == str(run_dir / "bell"), "making it twice is harmless"


def test_a_regular_file_in_the_bells_place_is_an_error_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bell").write_text("mine")
    with pytest.raises(OSError):
        prepare(str(tmp_path))
    assert (tmp_path / "bell").read_text() == "mine"


def test_with_nobody_at_the_other_end_there_is_nothing_to_wait_for(run_dir: Path) -> None:
    bell = Bell(str(run_dir / "bell"))
    started = time.monotonic()
    assert bell.wait(5.0) == "gone"
    assert time.monotonic() - started < 1.0
    bell.close()


def test_a_ring_ends_the_wait_and_is_heard_once(run_dir: Path) -> None:
    bell = Bell(str(run_dir / "bell"))
    with tracer_bell(run_dir) as ring:
        timer = threading.Timer(0.05, ring)
        timer.start()
        assert bell.wait(5.0) == "rung"
        timer.join()
        assert bell.wait(0.02) == "late"
    bell.close()


def test_the_function_dying_ends_the_wait(run_dir: Path) -> None:
    bell = Bell(str(run_dir / "bell"))
    writer = os.open(run_dir / "bell", os.O_RDWR)
    timer = threading.Timer(0.05, os.close, (writer,))
    timer.start()
    assert bell.wait(5.0) == "gone"
    timer.join()
    bell.close()


def test_a_ring_that_the_function_gave_before_it_died_is_still_a_ring(run_dir: Path) -> None:
    bell = Bell(str(run_dir / "bell"))
    with tracer_bell(run_dir) as ring:
        ring()
    assert bell.wait(1.0) == "rung"
    bell.close()


def test_forgotten_rings_and_foreign_bytes_are_no_ring(run_dir: Path) -> None:
    bell = Bell(str(run_dir / "bell"))
    with tracer_bell(run_dir) as ring:
        ring()
        bell.clear()
        os.write(writer := os.open(run_dir / "bell", os.O_RDWR), b"xyz")
        assert bell.wait(0.02) == "late"
        os.close(writer)
    bell.close()


def test_a_bell_made_anew_after_a_wipe_is_found(run_dir: Path) -> None:
    bell = Bell(str(run_dir / "bell"))
    (run_dir / "bell").unlink()
    with tracer_bell(run_dir) as ring:
        ring()
        assert bell.wait(1.0) == "rung"
    bell.close()
