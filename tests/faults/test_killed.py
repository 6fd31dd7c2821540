"""A function killed at any instant loses no span that has ended, its first invocation included."""

import os
import random
import threading
import time
from pathlib import Path

import pytest

from hoptrace_local.lambda_host import LambdaHostError
from hoptrace_local.lambda_host.cpu_group import CpuGroup
from hoptrace_local.sink import OtlpSink
from tests.support.functions import function

from .campaign import Tally, round_of

WORK = """
import os, time
from hoptrace.spans import start_span

ended = os.open(os.environ["ENDED"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)

def handler(event, context):
    os.write(ended, (context.aws_request_id + "\\n").encode())
    until = time.monotonic() + event["seconds"]
    while time.monotonic() < until:
        span = start_span("work")
        span.end()
        os.write(ended, (span.context.span_id + "\\n").encode())
        time.sleep(0.002)
"""

KILLS = 50


def test_no_ended_span_is_missing_after_fifty_kills_at_random_instants(tmp_path: Path) -> None:
    chosen = random.Random(time.time_ns())
    ended = tmp_path / "ended"
    answers = []
    with OtlpSink() as sink:
        environment = {"ENDED": str(ended), "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with function(tmp_path, WORK, environment=environment) as desk:
            killed = 0
            while killed < KILLS:
                if chosen.random() < 0.3:
                    desk.invoke({"seconds": 0.01})  # so that later invocations of an environment die as well
                call = threading.Thread(target=lambda: answers.append(desk.invoke({"seconds": 0.3})))
                call.start()
                time.sleep(chosen.uniform(0.0, 0.3))
                try:
                    desk.host.kill_runtime("f")
                    killed += 1
                except LambdaHostError:
                    pass  # it had not started yet
                call.join()
        # Leaving the host shut every environment down, so every collector has flushed.
        lines = ended.read_text().split()
        begun = {line for line in lines if "-" in line}
        identifiers = [line for line in lines if "-" not in line]
        sent = [span.span_id for span in sink.spans if span.name == "work"]
        invocations = [span for span in sink.spans if span.name == "f"]
    died = [answer for answer in answers if answer and answer.get("errorType") == "Runtime.ExitError"]
    assert len(died) > KILLS / 2
    assert len(identifiers) > 500
    assert set(identifiers) - set(sent) == set()
    assert len(sent) == len(set(sent))
    # Each invocation that died in the user's code was closed by the collector, and says so.
    crashed = [span for span in invocations if span.attributes.get("error.type") == "Runtime.ExitError"]
    known = {span.attributes["faas.invocation_id"] for span in crashed}
    dead = {answer["errorMessage"].split()[1] for answer in died}
    assert len(dead & begun) > KILLS / 4
    assert (dead & begun) - known == set()
    assert {span.status for span in crashed} == {"ERROR"}


ROUND = 50
CAMPAIGN = int(os.environ.get("CAMPAIGN", "1000"))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_of_a_thousand_invocations_that_are_killed_timed_out_or_out_of_memory_nothing_is_lost(tmp_path: Path) -> None:
    chosen, tally = random.Random(time.time_ns()), Tally()
    while tally.invocations < CAMPAIGN:
        folder = tmp_path / str(tally.invocations)
        folder.mkdir()
        round_of(ROUND, folder, tally, chosen)
        print(tally if tally.clean else tally.details(), flush=True)
    assert tally.clean, tally.details()
    assert sum(tally.died.values()) > tally.invocations / 2


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nor_at_a_cpu_quota_that_stands_for_128_mb(tmp_path: Path) -> None:
    unavailable = CpuGroup("probe", 128).unavailable
    if unavailable:
        pytest.skip(unavailable)
    tally = Tally()
    round_of(ROUND, tmp_path, tally, random.Random(time.time_ns()), memory=128, cpu_quota=True)
    print(tally, flush=True)
    assert tally.clean, tally.details()
