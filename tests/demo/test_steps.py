"""A step that fails says which it was, and shows what the logs said last."""

import io
import time

import pytest
from rich.console import Console

from hoptrace_local.demo import show
from hoptrace_local.stage.steps import TAIL, StepFailed, Steps


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def test_a_step_that_works_out_is_ticked_off() -> None:
    out = console()
    steps = Steps(out, clock=iter([10.0, 12.5]).__next__)
    with steps.step("Start the engine", 5):
        pass
    assert steps.taken == [("Start the engine", 2.5)]
    assert out.file.getvalue() == "✓ Start the engine 2.5 s\n"  # type: ignore[attr-defined]


def test_a_step_that_raises_is_named_with_its_reason_and_the_logs_end() -> None:
    steps = Steps(console())
    steps.watch("engine", lambda: "\n".join(str(number) for number in range(100)))
    steps.watch("silent", lambda: "")
    with pytest.raises(StepFailed) as caught, steps.step("Start the engine", 5):
        raise ConnectionError("no fuel")
    assert (caught.value.step, caught.value.reason) == ("Start the engine", "no fuel")
    assert list(caught.value.tail) == ["engine"]
    assert caught.value.tail["engine"] == [str(number) for number in range(100 - TAIL, 100)]
    assert steps.taken == []


def test_a_step_that_hangs_is_interrupted_even_where_exceptions_are_swallowed() -> None:
    steps = Steps(console())
    begin = time.monotonic()
    with pytest.raises(StepFailed) as caught, steps.step("Wait for ever", 0.1):
        for _ in range(100):
            try:
                time.sleep(1)
            except Exception:
                continue
    assert caught.value.reason == "not done within 0 s"
    assert time.monotonic() - begin < 0.9


def test_a_log_that_cannot_be_read_does_not_hide_the_failure() -> None:
    def unreadable() -> str:
        raise FileNotFoundError("gone")

    steps = Steps(console())
    steps.watch("engine", unreadable)
    with pytest.raises(StepFailed) as caught, steps.step("Start the engine", 5):
        raise ValueError
    assert caught.value.reason == "ValueError"
    assert caught.value.tail["engine"] == ["(cannot be read: gone)"]


def test_a_failure_is_printed_with_the_step_last() -> None:
    out = console()
    show.failure(out, "Start the engine", "no [fuel]", {"engine": ["[red]line"]})
    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]line" in printed
    assert printed.splitlines()[-1] == "✗ Start the engine: no [fuel]"
