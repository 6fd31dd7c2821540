"""The user's own reader of contexts: asked once, believed, and harmless when it is wrong."""

import io
import signal
import subprocess
import sys
from collections import UserDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from golden import load
from scenarios import PRODUCER, SECOND

import hoptrace
from hoptrace import settings
from hoptrace.spans.context import SpanContext, format_traceparent
from hoptrace.testing import LambdaContext, recorder
from hoptrace.triggers import extractor, identify
from tests.support.functions import function

HEADERS = {"traceparent": format_traceparent(SECOND)}
BARE = SpanContext(PRODUCER.trace_id, PRODUCER.span_id, 1, "", remote=True)


@pytest.fixture
def extracting(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Callable[..., io.StringIO]]":
    """Set the user's extractor, an object or a setting's text; what is said about it comes back."""

    def use(found: Any, where: str = "users_module.find", **environ: str) -> io.StringIO:
        said = io.StringIO()
        monkeypatch.setattr(sys, "__stderr__", said)
        monkeypatch.setitem(
            sys.modules, "users_module", SimpleNamespace(find=found, inside=SimpleNamespace(find=found))
        )
        settings.use(settings.Settings({"HOPTRACE_EXTRACTOR": where, **environ}))
        extractor._found.clear()
        extractor._said.clear()
        return said

    yield use
    settings.use(None)
    extractor._found.clear()
    extractor._said.clear()


def producer(event: Any, context: Any = None) -> "tuple[SpanContext | None, str]":
    (record,) = identify(event, context).records
    return record.context, record.carrier


@pytest.mark.parametrize("where", ["users_module.find", "users_module:find", "users_module:inside.find"])
def test_what_the_users_function_finds_is_the_producer(extracting: Any, where: str) -> None:
    asked = []

    def find(event: Any, context: Any) -> Any:
        asked.append((event, context))
        return HEADERS

    said = extracting(find, where)
    event, context = {"order": 1}, LambdaContext()
    assert producer(event, context) == (SECOND, "extractor")
    assert asked == [(event, context)]
    assert asked[0][0] is event
    assert said.getvalue() == ""


@pytest.mark.parametrize("file", ["recorded/alb.json", "recorded/eventbridge.json", "recorded/api_gateway_rest.json"])
def test_it_wins_over_what_was_read(extracting: Any, file: str) -> None:
    extracting(lambda event, context: HEADERS)
    assert producer(load(file)) == (SECOND, "extractor")


def test_it_wins_over_a_client_context(extracting: Any) -> None:
    """It is the only one that was written for this function."""
    context = LambdaContext()
    context.client_context = SimpleNamespace(custom={"traceparent": format_traceparent(PRODUCER)})  # type: ignore[assignment]
    extracting(lambda event, context: None)
    assert producer({}, context) == (BARE, "client_context")
    extracting(lambda event, context: HEADERS)
    assert producer({}, context) == (SECOND, "extractor")


@pytest.mark.parametrize("answer", [None, {}, {"authorization": "x"}, {"traceparent": "broken"}])
def test_what_it_does_not_know_is_read_as_ever(extracting: Any, answer: Any) -> None:
    said = extracting(lambda event, context: answer)
    assert producer(load("recorded/alb.json")) == (PRODUCER, "traceparent")
    assert said.getvalue() == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"TraceParent": HEADERS["traceparent"]},
        {"traceparent": [HEADERS["traceparent"], "other"]},
        {b"traceparent": HEADERS["traceparent"].encode()},
        UserDict(HEADERS),
    ],
    ids=["any case", "many values", "bytes", "any mapping"],
)
def test_headers_may_look_as_they_do_in_frameworks(extracting: Any, headers: Any) -> None:
    extracting(lambda event, context: headers)
    assert producer({}) == (SECOND, "extractor")


@pytest.mark.parametrize(
    ("propagators", "headers"),
    [
        ("b3", {"B3": f"{SECOND.trace_id}-{SECOND.span_id}-1"}),
        ("b3multi", {"X-B3-TraceId": SECOND.trace_id, "X-B3-SpanId": SECOND.span_id, "X-B3-Sampled": "1"}),
        ("xray", {"X-Amzn-Trace-Id": f"Root=1-{'a' * 8}-{'a' * 24};Parent={'b' * 16};Sampled=1"}),
        (
            "datadog",
            {
                "x-datadog-trace-id": str(0xAAAAAAAAAAAAAAAA),
                "x-datadog-parent-id": str(0xBBBBBBBBBBBBBBBB),
                "x-datadog-tags": f"_dd.p.tid={'a' * 16}",
            },
        ),
    ],
)
def test_headers_may_be_of_any_format_that_is_switched_on(extracting: Any, propagators: str, headers: Any) -> None:
    extracting(lambda event, context: headers, OTEL_PROPAGATORS=propagators)
    assert producer({}) == (SECOND, "extractor")


def test_a_batch_of_several_keeps_the_producers_of_its_records(extracting: Any) -> None:
    asked = []
    extracting(lambda event, context: asked.append(event) or HEADERS)
    arrival = identify(load("recorded/sqs.json"))
    assert [record.context for record in arrival.records] == [PRODUCER, SECOND]
    assert asked == []


def fails(event: Any, context: Any) -> Any:
    raise KeyError("trace")


class Fighting(UserDict[str, str]):
    def items(self) -> Any:
        raise RuntimeError("no")


WRONG: "dict[str, tuple[Any, str, str]]" = {
    "no such module": (None, "no_such_module.find", "name a function of yours as module.function"),
    "no such name": (None, "users_module.lose", "name a function of yours as module.function"),
    "no module": (None, "find", "name a function of yours as module.function"),
    "nothing": (None, "users_module.", "name a function of yours as module.function"),
    "not callable": ("text", "users_module.find", "name a function of yours as module.function"),
    "raises": (fails, "users_module.find", "have it return the producer's headers as a mapping, or None"),
    "wrong arguments": (lambda: None, "users_module.find", "have it return the producer's headers"),
    "a list": (lambda event, context: [("traceparent", "x")], "users_module.find", "as a mapping, or None"),
    "a text": (lambda event, context: HEADERS["traceparent"], "users_module.find", "as a mapping, or None"),
    "a mapping that fights": (lambda event, context: Fighting(HEADERS), "users_module.find", "as a mapping"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_it_is_said_in_one_line_and_the_reading_goes_on(extracting: Any, wrong: str) -> None:
    found, where, advice = WRONG[wrong]
    said = extracting(found, where)
    for _ in range(3):
        assert producer(load("recorded/alb.json")) == (PRODUCER, "traceparent")
    (line,) = said.getvalue().splitlines()
    assert line.startswith(f"hoptrace: HOPTRACE_EXTRACTOR={where} ")
    assert advice in line


def test_a_module_that_cannot_be_imported_is_tried_once(extracting: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "broken_extractor.py").write_text(
        "import os\nos.environ['TRIED'] = os.environ.get('TRIED', '') + 'x'\n1/0"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TRIED", "")
    said = extracting(None, "broken_extractor.find")
    for _ in range(3):
        identify({})
    import os

    assert os.environ["TRIED"] == "x"
    assert "ZeroDivisionError" in said.getvalue()


def exits(event: Any, context: Any) -> Any:
    sys.exit(3)


def test_an_exit_passes_as_from_any_code_of_the_users(extracting: Any) -> None:
    extracting(exits)
    with pytest.raises(SystemExit):
        identify({})


def test_the_users_alarm_that_rings_while_it_runs_passes(extracting: Any) -> None:
    class OutOfTimeError(Exception):
        pass

    def ring(number: int, frame: Any) -> None:
        raise OutOfTimeError

    def find(event: Any, context: Any) -> Any:
        signal.raise_signal(signal.SIGALRM)

    extracting(find)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(OutOfTimeError):
            identify({})
    finally:
        signal.signal(signal.SIGALRM, before)


def test_the_invocation_is_the_child_of_what_it_found(extracting: Any) -> None:
    extracting(lambda event, context: HEADERS)
    with recorder({"HOPTRACE_EXTRACTOR": "users_module.find"}) as traced:
        assert hoptrace.trace(lambda event, context: "done")({}, LambdaContext()) == "done"
        (span,) = [span for span in traced.ended() if span["kind"] == 2]
    assert (span["trace_id"], span["parent_id"]) == (SECOND.trace_id, SECOND.span_id)


APP = """
import sys

order = ["app"]

def find(event, context):
    order.append("asked for " + context.aws_request_id[:1])
    return event.get("meta")

def handler(event, context):
    order.append("handled")
    return {"order": order, "imported": "hoptrace.triggers.extractor" in sys.modules}
"""


@pytest.mark.parametrize("where", ["app.find", "elsewhere:find"])
def test_in_a_function_it_is_asked_once_for_each_invocation_and_loaded_after_the_users_own(
    tmp_path: Path, where: str
) -> None:
    elsewhere = "import app\napp.order.append('elsewhere')\nfind = app.find\n"
    sources = {"app.py": APP, "elsewhere.py": elsewhere}
    with function(tmp_path, sources, environment={"HOPTRACE_EXTRACTOR": where}) as desk:
        first = desk.invoke({"meta": HEADERS})
        second = desk.invoke({"meta": None})
        spans = desk.spans("f")
    loaded = ["elsewhere"] if where.startswith("elsewhere") else []
    assert [word[:5] for word in first["order"]] == ["app", *(word[:5] for word in loaded), "asked", "handl"]
    assert len(second["order"]) == len(first["order"]) + 2
    assert (spans[0]["trace_id"], spans[0]["parent_id"]) == (SECOND.trace_id, SECOND.span_id)
    assert spans[1]["trace_id"] != SECOND.trace_id


def test_a_cold_start_without_it_does_not_load_it(tmp_path: Path) -> None:
    with function(tmp_path, {"app.py": APP}) as desk:
        assert desk.invoke({"meta": HEADERS})["imported"] is False


def test_attaching_loads_nothing_of_the_users() -> None:
    code = """
import sys, types
sys.modules["awslambdaric.bootstrap"] = types.ModuleType("awslambdaric.bootstrap")
import hoptrace.attach, hoptrace.entry
print(hoptrace.entry.settings().extractor, "this" in sys.modules, "hoptrace.triggers.extractor" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOPTRACE_EXTRACTOR": "this.find", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "this.find False False\n", done.stderr
