"""What is written where an execution begins or goes on: to the byte, and never so that a call means something else."""

import copy
import json
from typing import Any

import pytest

from hoptrace import settings
from hoptrace.carriers.step_functions import DATA_BYTES, HEADER_CHARACTERS, inject_start, inject_success
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, parse_xray
from hoptrace.triggers import identify

CONTEXT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=1")
NOW_MS = 1_790_000_000_000
MACHINE = {"stateMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:orders"}


def written(entry: dict[str, Any], **how: Any) -> dict[str, Any]:
    before = copy.deepcopy(entry)
    new = inject_start(entry, CONTEXT, NOW_MS, **{"data": True, **how})
    assert entry == before
    return dict(new)


def test_the_input_keeps_every_other_byte_and_the_trace_header_has_its_own_parameter() -> None:
    given = ' {"b": 1.50,\n "a": "\\u00fc", "a": 2} '
    new = written({**MACHINE, "input": given})
    text = new["input"]
    at = text.index(',"_hoptrace":')
    end = text.rindex("}")
    assert text[:at] + text[end:] == given
    reserved = json.loads(text)["_hoptrace"]
    assert (reserved["via"], reserved["sent"]) == ("states", NOW_MS)
    header = parse_xray(new["traceHeader"])
    assert header is not None
    assert (header.trace_id, header.span_id) == (CONTEXT.trace_id, CONTEXT.span_id)


def test_nothing_is_written_into_the_input_unasked() -> None:
    new = written({**MACHINE, "input": "{}"}, data=False)
    assert new["input"] == "{}"
    assert set(new) == {"stateMachineArn", "input", "traceHeader"}


def test_without_an_input_the_execution_begins_with_an_object_all_the_same() -> None:
    assert list(json.loads(written(MACHINE)["input"])) == ["_hoptrace"]


@pytest.mark.parametrize("text", ["", "[]", "7", '"x"', "{} {}", '{"a": ', "{\x00}", '{"_hoptrace": "mine"}'])
def test_what_is_not_one_json_object_stays(text: str) -> None:
    assert written({**MACHINE, "input": text})["input"] == text


@pytest.mark.parametrize("value", [None, 7, b"{}", {"a": 1}])
def test_what_botocore_will_refuse_is_left_for_it(value: Any) -> None:
    assert written({**MACHINE, "input": value})["input"] is value
    assert inject_success({"taskToken": "t", "output": value}, CONTEXT, NOW_MS)["output"] is value


def test_a_named_execution_can_still_be_started_twice() -> None:
    """The second call of a name succeeds only with the same input, and ours differs with every span."""
    entry = {**MACHINE, "name": "order-1", "input": "{}"}
    assert written(entry)["input"] == "{}"
    assert written(entry, named=False)["input"] != "{}"


def test_a_trace_header_of_the_users_own_stays() -> None:
    assert written({**MACHINE, "traceHeader": "Root=mine"})["traceHeader"] == "Root=mine"


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_trace_header_keeps_its_lineage_and_is_left_out_when_it_is_too_long(beyond: int) -> None:
    ours = len(written(MACHINE)["traceHeader"])
    lineage = "Lineage=" + "a" * (HEADER_CHARACTERS - ours - len(";Lineage=") + beyond)
    new = written(MACHINE, trace_header=f"Root=1-00000001-000000000000000000000001;{lineage}")
    if beyond:
        assert "traceHeader" not in new
    else:
        assert new["traceHeader"].endswith(lineage)
        assert len(new["traceHeader"]) == HEADER_CHARACTERS


@pytest.mark.parametrize("call", ["start", "success"])
def test_the_limit_is_kept_to_the_byte_and_the_smaller_context_comes_first(call: str) -> None:
    def sizes(fill: int) -> tuple[int, set[str]]:
        text = json.dumps({"fill": "\u00fc" * (fill // 2) + "x" * (fill % 2)}, ensure_ascii=False)
        key, entry = ("input", {**MACHINE, "input": text})
        if call == "success":
            key, entry = "output", {"taskToken": "t", "output": text}
            new = inject_success(entry, CONTEXT, NOW_MS)
        else:
            new = inject_start(entry, CONTEXT, NOW_MS, data=True)
        longer = str(new[key])
        return len(longer.encode()), set(json.loads(longer).get("_hoptrace", {})) - {"sent", "via"}

    whole, found = sizes(100)
    assert found == {"traceparent", "tracestate"}
    room = DATA_BYTES - whole + 100
    assert sizes(room) == (DATA_BYTES, {"traceparent", "tracestate"})
    size, found = sizes(room + 1)
    assert found == {"traceparent"}
    assert size <= DATA_BYTES
    least = room + 1 + DATA_BYTES - size
    assert sizes(least) == (DATA_BYTES, {"traceparent"})
    assert sizes(least + 1)[1] == set()


def test_what_ends_a_task_is_followed_by_the_next_state() -> None:
    new = inject_success({"taskToken": "t", "output": '{"paid": true}'}, CONTEXT, NOW_MS)
    record = identify(json.loads(str(new["output"]))).records[0]
    assert (record.context, record.carrier) == (
        SpanContext(CONTEXT.trace_id, CONTEXT.span_id, 1, "vendor=1", remote=True),
        "traceparent",
    )


def test_an_input_that_came_with_a_key_is_sent_on_with_the_new_one() -> None:
    first = written(MACHINE)["input"]
    other = SpanContext("a" * 32, "b" * 16, 1)
    second = inject_start({**MACHINE, "input": first}, other, NOW_MS + 1, data=True)["input"]
    assert Shape(json.loads(second)).text("_hoptrace", "traceparent").split("-")[1] == "a" * 32
    assert second.count("_hoptrace") == 1


def test_without_any_format_nothing_is_written() -> None:
    settings.use(settings.Settings({"OTEL_PROPAGATORS": "none"}))
    try:
        entry = {**MACHINE, "input": "{}"}
        assert inject_start(entry, CONTEXT, NOW_MS, data=True) is entry
        done = {"taskToken": "t", "output": "{}"}
        assert inject_success(done, CONTEXT, NOW_MS) is done
    finally:
        settings.use(None)
