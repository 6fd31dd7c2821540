"""Recursive loops on the desk: the count in the trace header, and what becomes of the one invocation too many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desk_kit import DeskForTests
from emulated_aws import Aws

from hoptrace_local.lambda_host import AsyncConfig
from hoptrace_local.lambda_host.recursion import LONGEST_CHAIN, counted

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
HEADER = "import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n"


def test_the_first_invocation_of_a_chain_is_the_zeroth_turn_and_the_next_ones_count_up() -> None:
    first, before = counted(ROOT, b"{}", ARN)
    assert before == 0
    assert first.startswith(ROOT + ";Lineage=")
    assert first.endswith(":0")
    second, before = counted(first, b"{}", ARN)
    assert before == 1
    assert second == first[:-1] + "1"


def test_the_other_functions_of_the_chain_and_forms_that_are_not_known_are_kept() -> None:
    header, _ = counted(f"{ROOT};Lineage=a87bd80c:5|1:e547cb94:0;Self=1-67891234-aa", b"{}", ARN)
    entries = header.split("Lineage=")[1].split("|")
    assert "a87bd80c:5" in entries
    assert "1:e547cb94:0" in entries
    assert len(entries) == 3
    assert ";Self=1-67891234-aa;" in header


def test_the_records_of_a_batch_bring_the_count_of_their_senders() -> None:
    chain, _ = counted(ROOT, b"{}", ARN)
    for turns in (3, 7):
        while not chain.endswith(f":{turns}"):
            chain, _ = counted(chain, b"{}", ARN)
    records = [{"attributes": {"AWSTraceHeader": text}} for text in (ROOT, chain)]
    header, before = counted(ROOT, json.dumps({"Records": records}).encode(), ARN)
    assert (before, header[-2:]) == (8, ":8")


@pytest.mark.parametrize("payload", [b"AWSTraceHeader", b'["AWSTraceHeader"]', b'{"Records": ["AWSTraceHeader", 1]}'])
def test_an_event_of_any_form_is_no_record(payload: bytes) -> None:
    assert counted(ROOT, payload, ARN)[1] == 0


def test_without_the_setting_the_header_comes_as_it_was_sent(desk: DeskForTests) -> None:
    desk.add(HEADER)
    assert json.loads(desk.invoke(trace_header=ROOT).payload) == ROOT


def test_a_chain_is_stopped_after_sixteen_invocations(desk: DeskForTests) -> None:
    desk.add(HEADER, recursive_loop="Terminate")
    header = ROOT
    for _ in range(LONGEST_CHAIN):
        result = desk.invoke(trace_header=header)
        header = json.loads(result.payload)
    dropped = desk.invoke(trace_header=header)
    assert (result.status_code, dropped.status_code) == (200, 400)
    assert "recursive loop" in json.loads(dropped.payload)["message"]
    stats = desk.host.stats("f")
    assert (stats.invocations, stats.recursions_dropped) == (LONGEST_CHAIN, 1)


def test_a_function_that_may_loop_goes_on(desk: DeskForTests) -> None:
    desk.add(HEADER, recursive_loop="Allow")
    header = ROOT
    for _ in range(LONGEST_CHAIN + 2):
        header = json.loads(desk.invoke(trace_header=header).payload)
    assert header.endswith(f":{LONGEST_CHAIN + 1}")


def test_an_asynchronous_event_too_many_goes_to_the_dead_letters(
    desk_on_aws: DeskForTests, aws: Aws, tmp_path: Path
) -> None:
    dead = aws.queue("dead")
    desk_on_aws.add(HEADER, recursive_loop="Terminate", asynchronous=AsyncConfig(dead_letter=dead.arn))
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    header = ROOT
    for _ in range(LONGEST_CHAIN):
        header, _ = counted(header, b"{}", arn)
    desk_on_aws.host.invoke_async("f", b'{"n": 1}', trace_header=header)
    assert desk_on_aws.host.settle("f", 10)
    (message,) = dead.messages()
    assert json.loads(message["Body"]) == {"n": 1}
    assert desk_on_aws.host.stats("f").invocations == 0
