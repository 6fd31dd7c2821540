"""Every invocation that does not come back ends as a complete trace: true end, status and error, open spans closed."""

import socket
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from hoptrace_local.lambda_host import FunctionConfig, InvokeResult, LambdaHost
from hoptrace_local.otlp import Span
from hoptrace_local.sink import OtlpSink
from tests.support import parts

from .endings import ENDINGS, FAILED_INITS, SLOW_ONCE, Ending, environment, error_type, moment_of_death

SECOND = 1_000_000_000
CLOSED_BY = "hoptrace.closed_by"
pytestmark = pytest.mark.timeout(600)


@dataclass
class Outcome:
    """What became of one ending's function."""

    result: InvokeResult
    lines: list[str]
    spans: list[Span]

    def invocation(self) -> Span:
        """The one span of the invocation."""
        (found,) = [span for span in self.spans if span.attributes.get("faas.invocation_id") == self.result.request_id]
        return found

    def named(self, name: str) -> Span:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """All of them, run side by side in one local Lambda."""
    folder = tmp_path_factory.mktemp("endings")
    lines = defaultdict[str, list[str]](list)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as stalled, OtlpSink() as sink:
        url = f"http://127.0.0.1:{stalled.getsockname()[1]}"
        slow = Ending("slow_once", "", "", source=SLOW_ONCE, init_timeout=0.6, timeout=5.0)
        endings = [*ENDINGS, *FAILED_INITS, slow]
        configs = [_config(folder, ending, environment(url, sink.endpoint, ending)) for ending in endings]
        with (
            LambdaHost(configs, on_log=lambda name, text: lines[name].append(text)) as host,
            ThreadPoolExecutor(4) as pool,
        ):
            results = list(pool.map(lambda ending: host.invoke(ending.name, b"{}"), endings))
        spans = sink.spans
    yield {
        ending.name: Outcome(
            result, lines[ending.name], [span for span in spans if span.resource["faas.name"] == ending.name]
        )
        for ending, result in zip(endings, results, strict=True)
    }


def _config(folder: Path, ending: Ending, variables: dict[str, str]) -> FunctionConfig:
    code = folder / ending.name
    code.mkdir()
    (code / "app.py").write_text(ending.text)
    return FunctionConfig(
        ending.name,
        code,
        ending.handler,
        layers=(parts.layer(),),
        environment=variables,
        timeout=ending.timeout,
        init_timeout=ending.init_timeout,
        memory=ending.memory,
        shutdown_timeout=10.0,  # a busy desk is no Lambda: what is told matters here, not how soon
    )


def _assert_complete(spans: list[Span]) -> None:
    """No span twice, no parent missing, none outside its parent; an initialisation is older than its invocation."""
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        assert span.start <= span.end
        if span.parent_id:
            parent = by_id[span.parent_id]
            assert parent.trace_id == span.trace_id
            if span.name != "init":
                assert parent.start <= span.start
                assert span.end <= parent.end


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
def test_an_invocation_that_ended_so_is_a_complete_trace(ending: Ending, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[ending.name]
    assert error_type(outcome.result.payload) == ending.answer
    _assert_complete(outcome.spans)
    invocation = outcome.invocation()
    assert (invocation.status, invocation.attributes["error.type"]) == ("ERROR", ending.told)
    parent = invocation
    for name in ending.cut:
        span = outcome.named(name)
        assert (span.parent_id, span.end) == (parent.span_id, invocation.end)
        assert (span.status, span.attributes["error.type"]) == ("ERROR", ending.told)
        assert span.attributes[CLOSED_BY] == "collector"
        parent = span
    if ending.cut:
        assert invocation.attributes[CLOSED_BY] == "collector"
        assert CLOSED_BY not in outcome.named("done").attributes, "it had ended itself"
        assert outcome.named("work").attributes["order"] == 7
        assert outcome.named("work").scope == "orders"
    if ending.timed_out:
        assert abs(invocation.end - invocation.start - ending.timeout * SECOND) < 0.4 * SECOND
    elif died := moment_of_death(outcome.lines):
        assert 0 <= invocation.end - died < 1.5 * SECOND


def test_the_call_that_a_timeout_waited_in_says_whom_it_called(outcomes: dict[str, Outcome]) -> None:
    call = outcomes["timeout_in_boto3"].named("DynamoDB.GetItem")
    assert call.attributes["aws.dynamodb.table_names"] == ["orders"]
    assert call.kind == "CLIENT"
    asked = outcomes["timeout_in_http"].named("GET")
    assert str(asked.attributes["url.full"]).endswith("/orders?token=REDACTED")


@pytest.mark.parametrize("ending", FAILED_INITS, ids=lambda ending: ending.name)
def test_an_invocation_whose_initialisation_failed_has_its_span(ending: Ending, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[ending.name]
    assert error_type(outcome.result.payload) == ending.answer
    _assert_complete(outcome.spans)
    invocation = outcome.invocation()
    assert (invocation.status, invocation.attributes["error.type"]) == ("ERROR", ending.told)
    assert invocation.attributes[CLOSED_BY] == "collector"


def test_an_initialisation_that_ran_out_of_time_once_is_told_beside_the_invocation_that_then_went_well(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["slow_once"]
    assert outcome.result.payload == b'"late but well"'
    _assert_complete(outcome.spans)
    assert outcome.invocation().status == "UNSET"
    failed = [span for span in outcome.spans if span.name == "init" and span.status == "ERROR"]
    assert [span.attributes["error.type"] for span in failed] == ["timeout"]
