"""The user's code may close, wipe, patch, fork and interrupt as it likes: nothing of theirs is harmed."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import hoptrace
from hoptrace import guard
from hoptrace.send import Bell, Outbox
from hoptrace.spans import current_span, start_span
from hoptrace.testing import LambdaContext, recorder
from hoptrace_local.sink import OtlpSink
from tests.support.functions import function


def test_a_number_that_the_user_got_after_closing_everything_is_never_written_to(tmp_path: Path) -> None:
    outbox, bell = Outbox(str(tmp_path / "run")), Bell(str(tmp_path / "run"))
    for descriptor in (outbox._file.number, bell._file.number):
        os.close(descriptor)
    theirs = [(tmp_path / name).open("wb") for name in ("a", "b", "c")]
    assert {outbox._file.number, bell._file.number} & {file.fileno() for file in theirs}
    assert outbox.write(b"{}\n")
    bell.ring()
    outbox.follow()
    outbox.close()
    bell.close()
    for file in theirs:
        os.fstat(file.fileno())
        file.close()
    assert [(tmp_path / name).read_bytes() for name in ("a", "b", "c")] == [b"", b"", b""]
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == b"{}\n"


def test_threads_that_write_while_the_file_is_replaced_never_reach_a_file_of_the_users(tmp_path: Path) -> None:
    outbox = Outbox(str(tmp_path / "run"))
    stop = threading.Event()

    def ours() -> None:
        while not stop.is_set():
            outbox.write(b"{}\n")

    damage: list[bytes] = []

    def theirs(name: str) -> None:
        while not stop.is_set():
            with (tmp_path / name).open("wb") as file:
                file.write(b"mine")
            found = (tmp_path / name).read_bytes()
            if found != b"mine":
                damage.append(found)

    workers = [threading.Thread(target=ours) for _ in range(2)]
    workers += [threading.Thread(target=theirs, args=(name,)) for name in "ab"]
    for worker in workers:
        worker.start()
    for number in range(1500):
        (tmp_path / "new").write_bytes(b"")
        (tmp_path / "new").rename(tmp_path / "run" / "records.jsonl")
        outbox.follow()
        assert number < 1500
    stop.set()
    for worker in workers:
        worker.join()
    outbox.close()
    assert damage == []


ALARMS = """
import signal, time
from hoptrace.spans import start_span
from hoptrace.testing import recorder
from hoptrace import guard

class TooLong(Exception):
    pass

def alarm(number, frame):
    raise TooLong

def work():
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        start_span("busy").end()

signal.signal(signal.SIGALRM, alarm)
lost = 0
with recorder():
    guard.LOUD = False  # as in a user's function
    for _ in range(150):
        try:
            work()
            lost += 1
        except TooLong:
            pass
print(lost)
"""


def test_an_alarm_of_the_users_that_goes_off_in_our_code_is_theirs() -> None:
    done = subprocess.run([sys.executable, "-c", ALARMS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Python itself loses one that goes off in a callback of its own, such as a weak reference's.
    assert int(done.stdout) <= 3


WIPES = """
import os, shutil
from hoptrace.spans import start_span
def handler(event, context):
    start_span("work").end()
    shutil.rmtree(os.environ["HOPTRACE_RUN_DIR"], ignore_errors=True)
    start_span("after").end()
"""


def test_a_function_that_clears_its_tmp_in_every_invocation_loses_nothing(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        with function(tmp_path, WIPES, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}) as desk:
            for _ in range(5):
                desk.invoke({})
        names = [span.name for span in sink.spans]
    counts = [names.count(name) for name in ("f", "work", "after", "init")]
    assert counts == [5, 5, 5, 1], desk.lines


def test_a_result_that_lambda_does_not_take_is_an_error(tmp_path: Path) -> None:
    with function(tmp_path, "def handler(event, context):\n    return {1, 2} if event else 1\n") as desk:
        desk.invoke({"a": 1})
        desk.invoke({})
        desk.invoke({})
        ends = [record for record in desk.records() if record["type"] == "end"]
    assert [end["outcome"] for end in ends] == ["error", "ok", "ok"]
    assert ends[0]["span"]["attributes"]["error.type"] == "Runtime.MarshalError"


def test_an_invocation_with_too_much_on_its_span_still_ends(tmp_path: Path) -> None:
    source = """
import hoptrace
def handler(event, context):
    for number in range(120):
        hoptrace.current_span().set_attribute(f"a{number}", "x" * 16000)
"""
    with function(tmp_path, source) as desk:
        desk.invoke({})
        desk.invoke({})
        spans = desk.spans("f")
    assert len(spans) == 2
    assert spans[0]["attributes"]["hoptrace.shrunk"] is True


def test_a_user_who_patches_the_operating_systems_calls_patches_none_of_ours(tmp_path: Path) -> None:
    source = """
import os, json, time
def refuse(*args, **kwargs):
    raise RuntimeError("patched by the user")
os.write = os.fstat = os.open = os.stat = refuse
def handler(event, context):
    return 1
"""
    with function(tmp_path, source, timeout=10.0) as desk:
        results = [desk.host.invoke("f", b"{}") for _ in range(2)]
        assert len(desk.spans("f")) == 2
    assert max(result.released_seconds for result in results) < 5


def test_a_crash_is_noticed_at_once_though_a_forked_child_lives_on(tmp_path: Path) -> None:
    source = """
import os, time
def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        time.sleep(3)
        os._exit(0)
    os._exit(1)
"""
    with OtlpSink() as sink:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with function(tmp_path, source, environment=variables, timeout=20.0) as desk:
            result = desk.host.invoke("f", b"{}")
        assert b"Runtime.ExitError" in result.payload
        assert result.released_seconds < 1.9
        assert [span.attributes.get("error.type") for span in sink.spans if span.name == "f"] == ["Runtime.ExitError"]


def test_a_decorated_handler_inside_another_decorator_has_the_outer_ones_outcome(tmp_path: Path) -> None:
    source = """
import functools, hoptrace
def outer(f):
    @functools.wraps(f)
    def wrapper(event, context):
        f(event, context)
        raise ValueError("from the outer one")
    return wrapper
@outer
@hoptrace.trace
def handler(event, context):
    return 1
"""
    with function(tmp_path, source) as desk:
        desk.invoke({})
        (end,) = [record for record in desk.records() if record["type"] == "end"]
    assert end["outcome"] == "error"


def test_an_object_that_is_a_handler_keeps_what_else_it_is() -> None:
    class App:
        def __init__(self) -> None:
            self.routes: list[str] = []

        def route(self, path: str) -> None:
            self.routes.append(path)

        def __call__(self, event: Any, context: Any) -> Any:
            return self.routes

    with recorder() as recorded:
        app = hoptrace.trace(App())
        app.route("/a")
        app.name = "mine"
        assert hoptrace.trace(app) is app
        assert app({}, LambdaContext()) == ["/a"]
        assert app.name == "mine"
        assert [record["type"] for record in recorded.records] == ["begin", "end"]


def test_a_traced_handler_that_another_one_calls_is_its_child() -> None:
    with recorder() as recorded:

        @hoptrace.trace
        def inner(event: Any, context: Any) -> None:
            return None

        @hoptrace.trace
        def outer(event: Any, context: Any) -> None:
            inner({}, LambdaContext("inner", request_id="2"))
            seen.append(current_span())

        seen: list[Any] = []
        outer({}, LambdaContext("outer", request_id="1"))
        first, second = recorded.ended()
    assert (first["trace_id"], first["parent_id"]) == (second["trace_id"], second["span_id"])
    assert seen[0].context.span_id == second["span_id"]


class _Awkward:
    """A context that answers nothing properly."""

    aws_request_id = "r"
    function_name = property(lambda self: 1 / 0)

    def get_remaining_time_in_millis(self) -> float:
        return float("inf")


def test_a_context_that_raises_costs_neither_the_call_nor_its_record_nor_a_retry() -> None:
    with recorder() as recorded:
        guard.LOUD = False
        handler = hoptrace.trace(lambda event, context: 7)
        assert [handler({}, _Awkward()), handler({}, _Awkward())] == [7, 7]
        assert [record["type"] for record in recorded.records] == ["begin", "end"] * 2


def test_a_pipe_in_the_place_of_the_records_never_holds_the_function(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "records.jsonl")
    guard.LOUD = False
    outbox = Outbox(str(tmp_path / "run"))
    assert not outbox.write(b"{}\n")
    assert outbox.dropped == {"no_file": 1}


def test_what_was_dropped_is_told_once_and_counted_right(tmp_path: Path) -> None:
    outbox = Outbox(str(tmp_path / "run"), max_bytes=200, max_record=100)
    assert not outbox.write(b"x" * 101)
    assert not outbox.write(b"x" * 101)
    assert outbox.write(b"y" * 99 + b"\n")
    assert outbox.write(b"y" * 79 + b"\n")
    for _ in range(3):
        outbox.confess()
    assert outbox.dropped == {"record_too_large": 2}
    outbox.close()


@pytest.mark.parametrize("key", [1, None, (1, 2), b"k"])
def test_an_attribute_that_cannot_be_recorded_costs_only_itself(key: Any) -> None:
    with recorder() as recorded:
        span = start_span("s")
        span.set_attribute(key, "x")
        span.set_attribute("large", 10**5000)
        span.set_attribute("good", 1)
        span.end()
        (found,) = recorded.ended()
    assert found["attributes"] == {"good": 1}


def test_an_invocation_whose_end_could_not_be_written_came_back_all_the_same(tmp_path: Path) -> None:
    source = """
import resource
def handler(event, context):
    # As on a full disk: from now on no file may grow.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    return 1
"""
    with OtlpSink() as sink:
        with function(tmp_path, source, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}) as desk:
            assert [desk.invoke({}), desk.invoke({})] == [1, 1]
        (span,) = [span for span in sink.spans if span.name == "f"]
        counted = {point.name for point in sink.metrics}
    assert span.status == "UNSET"
    assert "error.type" not in span.attributes
    assert span.attributes["hoptrace.closed_by"] == "collector"
    assert not counted & {"faas.errors", "faas.timeouts"}
