"""What a function's log lines are with the real runtime client, in both of Lambda's formats, by the user's loggers."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clash import packages
from tests.support.functions import Desk, function

AS_JSON = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}

APP = """
import logging

log = logging.getLogger("orders")
log.setLevel("INFO")
log.warning("while loading")

def handler(event, context):
    log.warning("hello %s", "you", extra={"order": 7})
    return "done"
"""


def objects(desk: Desk) -> dict[str, dict[str, Any]]:
    """The JSON objects among the lines, by their message."""
    found = {}
    for line in desk.lines:
        if line.startswith("{"):
            value = json.loads(line)
            found[str(value.get("message", value.get("event")))] = value
    return found


def invocation(desk: Desk) -> dict[str, Any]:
    (span,) = [record["span"] for record in desk.records() if record["type"] == "begin"]
    return {"trace_id": span["trace_id"], "span_id": span["span_id"]}


def ids(value: dict[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in ("trace_id", "span_id") if name in value}


def test_in_lambdas_json_format_a_line_has_both_ids_within_an_invocation_and_none_before(tmp_path: Path) -> None:
    with function(tmp_path, APP, environment=AS_JSON) as desk:
        assert desk.invoke() == "done"
        found = objects(desk)
        assert ids(found["hello you"]) == invocation(desk)
    assert found["hello you"].keys() == {
        *("timestamp", "level", "message", "logger", "requestId", "order", "trace_id", "span_id")
    }
    assert found["while loading"].keys() == {"timestamp", "level", "message", "logger", "requestId"}


def test_switched_off_the_lines_are_those_of_a_function_without_the_layer(tmp_path: Path) -> None:
    off = {**AS_JSON, "HOPTRACE_LOGS_TRACE_IDS": "false"}
    with function(tmp_path / "off", APP, environment=off) as desk:
        desk.invoke()
        switched_off = objects(desk)
    with function(tmp_path / "bare", APP, environment=AS_JSON, layer=False) as desk:
        desk.invoke()
        bare = objects(desk)
    assert {name: value.keys() for name, value in switched_off.items()} == {
        name: value.keys() for name, value in bare.items()
    }


def test_in_the_text_format_the_lines_are_those_of_a_function_without_the_layer(tmp_path: Path) -> None:
    lines = []
    for layer in (True, False):
        with function(tmp_path / str(layer), APP, layer=layer) as desk:
            desk.invoke()
            found = [line.split("\t") for line in desk.lines if line.startswith("[WARNING]")]
        lines.append([(fields[0], bool(fields[2]), *fields[3:]) for fields in found])
    assert lines[0] == lines[1] == [("[WARNING]", False, "while loading"), ("[WARNING]", True, "hello you")]


NAMED = """
import logging

root = logging.getLogger()
root.handlers[0].setFormatter(logging.Formatter(
    "%(levelname)s [%(trace_id)s %(otelTraceID)s %(otelSpanID)s %(otelTraceSampled)s %(otelServiceName)s] %(message)s"
))
logging.error("loading")

def handler(event, context):
    logging.error("running")
"""


def test_a_format_that_names_ids_has_them_and_loses_no_line_outside_of_a_trace(tmp_path: Path) -> None:
    with function(tmp_path, NAMED, environment={"OTEL_SERVICE_NAME": "shop"}) as desk:
        desk.invoke()
        trace, span = invocation(desk).values()
        lines = [line for line in desk.lines if line.startswith("ERROR")]
    assert lines == ["ERROR [ 0 0 False shop] loading", f"ERROR [{trace} {trace} {span} True shop] running"]


THREADS = """
import asyncio, contextvars, logging, threading

log = logging.getLogger()

def in_thread(name):
    log.error(name)

async def in_task():
    await asyncio.sleep(0)
    log.error("task")

def handler(event, context):
    import boto3
    plain = threading.Thread(target=in_thread, args=("thread",))
    plain.start(); plain.join()
    asyncio.run(in_task())
"""


def test_threads_and_tasks_log_the_ids_of_their_invocation(tmp_path: Path) -> None:
    with function(tmp_path, THREADS, environment=AS_JSON, timeout=15.0) as desk:
        desk.invoke()
        found, expected = objects(desk), invocation(desk)
    assert ids(found["thread"]) == ids(found["task"]) == expected


COLD = """
import sys

def handler(event, context):
    return sorted(name for name in sys.modules if name.startswith("hoptrace.logs"))
"""


def test_a_function_that_logs_nothing_loads_nothing_of_it(tmp_path: Path) -> None:
    with function(tmp_path, COLD) as desk:
        assert desk.invoke() == []


POWERTOOLS = """
from aws_lambda_powertools import Logger

log = Logger(service="shop")
other = Logger(service="other", child=False)

def handler(event, context):
    log.info("plain", extra={"order": 7})
    child = Logger(service="shop", child=True)
    child.info("of a child")
    log.append_keys(trace_id="mine")
    log.info("appended")
    child.info("appended to the parent")
    log.remove_keys(["trace_id"])
    log.info("removed")
    log.info("extra", extra={"trace_id": "my own"})
    if hasattr(log, "thread_safe_append_keys"):
        log.thread_safe_append_keys(trace_id="of the thread")
        log.info("in a context")
"""


@pytest.mark.parametrize("version", ["aws-lambda-powertools==2.0.0", "aws-lambda-powertools"])
def test_powertools_logger_shows_both_ids_unless_the_user_has_said_his_own(tmp_path: Path, version: str) -> None:
    found_packages = packages.installed(f"logs-{version}", [version], packages.THIS, Path(sys.executable))
    packages.link(found_packages, tmp_path / "task")
    with function(tmp_path, POWERTOOLS, timeout=15.0, environment={"POWERTOOLS_METRICS_NAMESPACE": "x"}) as desk:
        assert desk.invoke() is None
        found, expected = objects(desk), invocation(desk)
    assert ids(found["plain"]) == ids(found["of a child"]) == ids(found["removed"]) == expected
    assert ids(found["appended"]) == ids(found["appended to the parent"]) == {"trace_id": "mine"}
    assert ids(found["extra"]) == {"trace_id": "my own"}
    assert "in a context" not in found or ids(found["in a context"]) == {"trace_id": "of the thread"}
    assert not any(key.startswith("otel") for line in found.values() for key in line)


STRUCTLOG = """
import logging, structlog
from hoptrace.logs import add_trace_ids

logging.getLogger().setLevel("INFO")

def handler(event, context):
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    structlog.get_logger().info("printed")
    structlog.get_logger().info("own", trace_id="mine")
    bound = structlog.get_logger().bind(order=7)
    bound.info("bound"); bound.info("bound again")

    structlog.configure(processors=[structlog.processors.KeyValueRenderer(key_order=["event"])])
    structlog.get_logger().info("as text")
    structlog.configure(processors=[add_trace_ids, structlog.processors.KeyValueRenderer(key_order=["event"])])
    structlog.get_logger().info("as text with ids")

    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.get_logger("shop").info("by logging", order=7)
"""


@pytest.mark.parametrize("version", ["structlog==21.1.0", "structlog"])
def test_structlog_has_both_ids_in_its_json_and_in_what_goes_to_logging(tmp_path: Path, version: str) -> None:
    found_packages = packages.installed(f"logs-{version}", [version], packages.THIS, Path(sys.executable))
    packages.link(found_packages, tmp_path / "task")
    with function(tmp_path, STRUCTLOG, timeout=15.0, environment=AS_JSON) as desk:
        assert desk.invoke() is None
        found, expected = objects(desk), invocation(desk)
        texts = [line for line in desk.lines if line.startswith("event=")]
    for name in ("printed", "bound", "bound again", "by logging"):
        assert ids(found[name]) == expected, name
    assert ids(found["own"]) == {"trace_id": "mine"}
    assert texts == [
        "event='as text'",
        f"event='as text with ids' trace_id='{expected['trace_id']}' span_id='{expected['span_id']}'",
    ]


LOGURU = """
import logging, sys
from loguru import logger
from hoptrace.logs import trace_ids

logger.remove()
logger.add(sys.stdout, format="{message} {extra[trace_id]} {extra[span_id]}")
logger.configure(patcher=lambda record: record["extra"].update(trace_ids()))

class Intercept(logging.Handler):
    def emit(self, record):
        frame, depth = sys._getframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        print("called by", frame.f_code.co_name)

logging.getLogger("heard").addHandler(Intercept())

def handler(event, context):
    logger.info("by loguru")
    logging.getLogger("heard").error("x")
"""


def test_loguru_has_them_by_one_line_and_its_look_for_the_caller_finds_the_caller(tmp_path: Path) -> None:
    found_packages = packages.installed("logs-loguru", ["loguru"], packages.THIS, Path(sys.executable))
    packages.link(found_packages, tmp_path / "task")
    with function(tmp_path, LOGURU, timeout=15.0) as desk:
        desk.invoke()
        trace, span = invocation(desk).values()
        assert f"by loguru {trace} {span}" in desk.lines
        assert "called by handler" in desk.lines


INSTRUMENTED = """
import logging
from opentelemetry.instrumentation.logging import LoggingInstrumentor

logging.getLogger().handlers[0].setFormatter(logging.Formatter(
    "LINE %(message)s %(trace_id)s %(otelTraceID)s %(otelSpanID)s %(otelTraceSampled)s %(otelServiceName)s"
))
logging.error("before")
LoggingInstrumentor().instrument()
logging.error("loading")

def handler(event, context):
    logging.error("running")
    LoggingInstrumentor().uninstrument()
    logging.error("without")
"""


def test_opentelemetrys_own_instrumentation_of_logging_says_the_same_ids(tmp_path: Path) -> None:
    wanted = ["opentelemetry-instrumentation-logging", "opentelemetry-sdk"]
    found_packages = packages.installed("logs-otel", wanted, packages.THIS, Path(sys.executable))
    packages.link(found_packages, tmp_path / "task")
    with function(tmp_path, INSTRUMENTED, timeout=15.0, environment={"OTEL_SERVICE_NAME": "shop"}) as desk:
        assert desk.invoke() is None
        trace, span = invocation(desk).values()
        lines = [line.split() for line in desk.lines if line.startswith("LINE")]
    assert lines[0] == ["LINE", "before", "0", "0", "False", "shop"]
    assert lines[1][:5] == ["LINE", "loading", "0", "0", "False"]
    assert lines[2][:6] == ["LINE", "running", trace, trace, span, "True"]
    assert lines[3] == ["LINE", "without", trace, trace, span, "True", "shop"]
