"""What is recorded of an invocation, in a real function process with the layer attached by its .pth alone."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hoptrace
from hoptrace.environment import AHEAD
from hoptrace.handler import Invocations
from hoptrace.send import Outbox
from hoptrace.settings import Settings
from hoptrace.testing import Clock, LambdaContext, recorder
from tests.support.functions import function

HELLO = "def handler(event, context):\n    return {'ok': True}\n"


def test_an_invocation_is_a_server_span_with_the_conventions_attributes(tmp_path: Path) -> None:
    with function(tmp_path, HELLO) as desk:
        before = time.time_ns()
        desk.host.invoke("f", b"{}", request_id="11111111-2222-4333-8444-555555555555", qualifier="live")
        after = time.time_ns()
        (span,) = desk.spans("f")
        resource = desk.records()[0]["resource"]
    assert span["kind"] == 2
    assert before <= span["start"] <= span["end"] <= after
    assert "parent_id" not in span
    assert "status" not in span
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    expected = {
        "faas.invocation_id": "11111111-2222-4333-8444-555555555555",
        "faas.trigger": "other",
        "faas.coldstart": True,
        "faas.version": "$LATEST",
        "cloud.account.id": "123456789012",
        "cloud.region": "us-east-1",
        "cloud.resource_id": arn,
        "aws.lambda.invoked_arn": f"{arn}:live",
        "aws.lambda.alias": "live",
        "aws.lambda.initialization_type": "on-demand",
    }
    assert expected.items() <= span["attributes"].items()
    assert {
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": "us-east-1",
        "faas.name": "f",
        "service.name": "f",
        "faas.version": "$LATEST",
        "faas.max_memory": 1769 * 1024 * 1024,
        "telemetry.sdk.language": "python",
    }.items() <= resource.items()
    assert resource["faas.instance"]


def test_only_the_first_invocation_is_cold_and_its_init_span_is_older_than_it(tmp_path: Path) -> None:
    with function(tmp_path, "import time\ntime.sleep(0.2)\n" + HELLO) as desk:
        before = time.time_ns()
        for _ in range(3):
            desk.invoke({})
        first, second, third = desk.spans("f")
        (init,) = desk.spans("init")
    assert [span["attributes"]["faas.coldstart"] for span in (first, second, third)] == [True, False, False]
    assert (init["trace_id"], init["parent_id"]) == (first["trace_id"], first["span_id"])
    assert before - 20_000_000 <= init["start"] < init["end"] <= first["start"]
    assert init["end"] - init["start"] >= 200_000_000


@pytest.mark.parametrize("kind", ["provisioned-concurrency", "snap-start"])
def test_an_environment_made_ahead_is_never_cold(kind: str) -> None:
    assert _coldstarts(kind, waited=0.0) == [False, False]


def test_an_on_demand_environment_is_cold_once_unless_it_was_initialised_ahead_of_demand() -> None:
    assert _coldstarts("on-demand", waited=0.0) == [True, False]
    assert _coldstarts("on-demand", waited=AHEAD / 1e9 + 1) == [False, False]


def _coldstarts(kind: str, waited: float, folder: Path = Path("/tmp")) -> list[bool]:
    import tempfile

    with tempfile.TemporaryDirectory() as run_dir:
        clock = Clock()
        knobs = Settings({"AWS_LAMBDA_INITIALIZATION_TYPE": kind, "HOPTRACE_RUN_DIR": run_dir})
        outbox = Outbox(run_dir)
        invocations = Invocations(knobs, outbox, started=clock.now, in_lambda=True, over=lambda: None, clock=clock)
        clock.advance(0.3)
        invocations.ready()
        clock.advance(waited)
        found = []
        for number in range(2):
            invocation = invocations.begin(({}, LambdaContext(request_id=str(number))), {})
            assert invocation is not None
            found.append(bool(invocation.span.attributes["faas.coldstart"]))
            invocations.succeed(invocation, None)
        outbox.close()
        return found


def test_an_exception_is_on_the_span_with_its_type_message_and_stack(tmp_path: Path) -> None:
    source = "def inner():\n    raise LookupError('no such order')\n\ndef handler(event, context):\n    inner()\n"
    with function(tmp_path, source) as desk:
        desk.invoke({})
        (span,) = desk.spans("f")
        ends = [record for record in desk.records() if record["type"] == "end"]
    assert ends[0]["outcome"] == "error"
    assert span["status"] == [2, "no such order"]
    assert span["attributes"]["error.type"] == "LookupError"
    (event,) = span["events"]
    assert event["attributes"]["exception.type"] == "LookupError"
    assert event["attributes"]["exception.message"] == "no such order"
    assert "in inner" in event["attributes"]["exception.stacktrace"]
    assert "hoptrace" not in event["attributes"]["exception.stacktrace"]


def test_an_exit_is_recorded_and_still_ends_the_process(tmp_path: Path) -> None:
    with function(tmp_path, "import sys\ndef handler(event, context):\n    sys.exit(3)\n") as desk:
        answer = desk.invoke({})
        (span,) = desk.spans("f")
    assert answer["errorType"] == "Runtime.ExitError"
    assert span["attributes"]["error.type"] == "SystemExit"
    assert span["status"][0] == 2


def test_a_handler_that_cannot_be_loaded_leaves_a_record_of_why(tmp_path: Path) -> None:
    with function(tmp_path, "import does_not_exist\n" + HELLO) as desk:
        desk.invoke({})
        found = [record for record in desk.records() if record["type"] == "init_error"]
    assert found
    assert found[0]["error_type"] == "Runtime.ImportModuleError"
    assert "does_not_exist" in found[0]["message"]
    assert found[0]["resource"]["faas.name"] == "f"
    assert found[0]["start"] < found[0]["end"]


@pytest.mark.parametrize("variable", ["HOPTRACE_DISABLED", "OTEL_SDK_DISABLED"])
def test_switched_off_it_is_as_if_never_attached(variable: str, tmp_path: Path) -> None:
    source = """
import sys, hoptrace
@hoptrace.trace
def handler(event, context):
    runtime = sys.modules["awslambdaric.bootstrap"]
    return [handler.__closure__ is None, runtime._get_handler.__module__, "hoptrace.handler" in sys.modules,
            [type(f).__module__ for f in sys.meta_path if "hoptrace" in type(f).__module__]]
"""
    with function(tmp_path, source, environment={variable: "true"}) as desk:
        answer = desk.invoke({})
        assert not desk.records()
        for environment in desk.host.environments("f"):
            assert not (Path(environment.run_dir) / "bell").exists()
    assert answer[1:] == ["awslambdaric.bootstrap", False, []]


def test_decorated_and_attached_at_once_records_one_span_an_invocation(tmp_path: Path) -> None:
    source = """
import functools, hoptrace, hoptrace.attach
hoptrace.attach.attach()
def other(f):
    @functools.wraps(f)
    def wrapper(e, c):
        return f(e, c)
    return wrapper
@other
@hoptrace.trace
@hoptrace.trace
def handler(event, context):
    return {"name": handler.__name__}
"""
    with function(tmp_path, source) as desk:
        assert desk.invoke({}) == {"name": "handler"}
        assert desk.invoke({}) == {"name": "handler"}
        assert len(desk.spans("f")) == 2


def test_the_decorator_records_outside_lambda_with_only_our_own_files_installed(tmp_path: Path) -> None:
    package = Path(hoptrace.__file__).parent
    site = tmp_path / "site"
    site.mkdir()
    (site / "hoptrace").symlink_to(package)
    code = """
import sys, hoptrace
@hoptrace.trace
def handler(event, context):
    return event["a"]
assert handler({"a": 7}, None) == 7
try:
    handler({}, None)
except KeyError as error:
    assert error.__context__ is None
else:
    raise AssertionError
foreign = {"opentelemetry", "wrapt", "boto3", "botocore", "typing"} & set(sys.modules)
assert not foreign, foreign
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"],
        env={"HOPTRACE_RUN_DIR": str(tmp_path / "run")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "run" / "records.jsonl").read_text().splitlines()]
    assert [record["type"] for record in records] == ["begin", "end", "begin", "end"]
    assert [record.get("outcome") for record in records if record["type"] == "end"] == ["ok", "error"]


def test_the_public_face_is_a_literal_list_of_at_most_eight_names() -> None:
    assert len(hoptrace.__all__) <= 8
    assert all(hasattr(hoptrace, name) for name in hoptrace.__all__)


def test_a_thread_of_the_handler_works_for_its_invocation() -> None:
    import threading

    from hoptrace.spans import set_invocation, start_span

    with recorder() as recorded:
        invocation = start_span("invocation", root=True)
        set_invocation(invocation)
        worker = threading.Thread(target=lambda: start_span("in a thread").end())
        worker.start()
        worker.join()
        set_invocation(None)
    (span,) = recorded.spans
    assert span.parent_id == invocation.context.span_id


def test_a_full_disk_or_a_missing_folder_never_reaches_the_function(tmp_path: Path) -> None:
    with function(tmp_path, HELLO, environment={"HOPTRACE_RUN_DIR": "/proc/nowhere"}) as desk:
        assert desk.invoke({}) == {"ok": True}
        assert desk.invoke({}) == {"ok": True}
        assert any("hoptrace:" in line for line in desk.lines)


def test_an_event_that_cannot_be_parsed_is_released_at_once_and_recorded_as_an_error(tmp_path: Path) -> None:
    with function(tmp_path, HELLO, timeout=20.0) as desk:
        desk.invoke({})
        result = desk.host.invoke("f", b"{", request_id="00000000-0000-4000-8000-00000000000b")
        desk.invoke({})
        spans = desk.spans("f")
    assert json.loads(result.payload)["errorType"] == "Runtime.UnmarshalError"
    assert result.released_seconds < 10
    assert [span["attributes"].get("error.type") for span in spans] == [None, "Runtime.UnmarshalError", None]
    assert spans[1]["attributes"]["faas.invocation_id"].endswith("0b")
    assert spans[1]["status"][0] == 2
