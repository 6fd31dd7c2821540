"""What holds for all tests: our own errors are loud, and a skip that nobody allowed fails the run."""

import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hoptrace import clients, guard

ALLOWED = Path(__file__).with_name("allowed_skips.txt")
_refused: list[str] = []


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    """Errors that the guard would swallow in a user's function are raised."""
    before, guard.LOUD = guard.LOUD, True
    yield
    guard.LOUD = before


def _unpatched() -> Iterator[None]:
    before = clients.installed()
    yield
    if clients.installed() and not before:
        clients.uninstall()


@pytest.fixture(autouse=True)
def unpatched_by_a_test() -> Iterator[None]:
    """No test leaves libraries patched for the next, whose own boto3 calls would carry a context then."""
    yield from _unpatched()


@pytest.fixture(autouse=True, scope="module")
def unpatched_by_a_module() -> Iterator[None]:
    """Nor do the fixtures that a module's tests share."""
    yield from _unpatched()


def _allowed(test: str, reason: str) -> bool:
    for line in ALLOWED.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, _, wanted = line.partition("|")
            if fnmatch.fnmatchcase(test, pattern.strip()) and fnmatch.fnmatchcase(reason, wanted.strip()):
                return True
    return False


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not _allowed(report.nodeid, reason):
            _refused.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _refused and os.environ.get("CI") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _refused:
        terminalreporter.section("skipped without leave (tests/allowed_skips.txt)")
        for line in _refused:
            terminalreporter.write_line(line)
