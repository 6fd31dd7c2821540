"""The whole demo, run once: what the trace, the metrics, the alert and the functions' results must be.

The run is `hoptrace demo --json` in a process of its own, as a user runs it; every test looks at its JSON.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hoptrace_local.demo import stack
from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
from hoptrace_local.sink import OtlpSink
from hoptrace_local.stage import parts
from hoptrace_local.stage.emulator import CREDENTIALS, REGION, Emulator

Json = dict[str, Any]

SECOND = 1_000_000_000
FUNCTIONS = ("checkout", "billing", "shipping", "remedy")


pytestmark = pytest.mark.timeout(320)


def is_invocation(span: Json) -> bool:
    return span["kind"] == "SERVER" and "faas.invocation_id" in span["attributes"]


def invocations(result: Json, function: str = "") -> list[Json]:
    return [s for s in result["spans"] if is_invocation(s) and function in {"", s["service"]}]


def hops(result: Json) -> list[Json]:
    return [span for span in result["spans"] if span["attributes"].get("hoptrace.hop") is True]


def records(result: Json) -> list[Json]:
    return [s for s in result["spans"] if s["kind"] == "CONSUMER" and s["service"] == "billing"]


def by_id(result: Json) -> dict[str, Json]:
    return {span["span_id"]: span for span in result["spans"]}


def ancestors(result: Json, span: Json) -> list[Json]:
    known, found = by_id(result), []
    while span["parent_id"]:
        span = known[span["parent_id"]]
        found.append(span)
    return found


def answers(result: Json, function: str) -> list[Json]:
    return [answer for answer in result["answered"] if answer["function"] == function]


def message_ids(result: Json) -> dict[str, str]:
    (asked,) = answers(result, "billing")
    return {
        json.loads(json.loads(record["body"])["Message"])["order"]: record["messageId"]
        for record in asked["event"]["Records"]
    }


def test_every_span_of_all_four_functions_is_in_the_customers_trace(result: Json) -> None:
    assert {span["trace_id"] for span in result["spans"]} == {result["trace_id"]}
    assert {span["service"] for span in invocations(result)} == set(FUNCTIONS)


def test_nothing_is_lost_and_nothing_comes_twice(result: Json) -> None:
    assert Counter(s["service"] for s in invocations(result)) == {
        name: counted["invocations"] for name, counted in result["host"].items()
    }
    assert {name: counted["invocations"] for name, counted in result["host"].items()} == {
        "checkout": 3,
        "billing": 1,
        "shipping": 2,
        "remedy": 1,
    }
    assert max(Counter(span["span_id"] for span in result["spans"]).values()) == 1
    asked = [span["attributes"]["faas.invocation_id"] for span in invocations(result)]
    assert len(set(asked)) == len(asked)


def test_every_parent_and_every_link_is_a_span_of_the_trace_and_there_is_one_root(result: Json) -> None:
    known = by_id(result)
    assert [span["name"] for span in result["spans"] if not span["parent_id"]] == ["place orders"]
    for span in result["spans"]:
        assert not span["parent_id"] or span["parent_id"] in known, span["name"]
        for link in span["links"]:
            if "hoptrace.pointer" in link["attributes"]:
                # The table has no stream here, so nobody else comes to the place where its readers would meet.
                assert link["attributes"] == {"hoptrace.pointer": "aws.dynamodb"}
                continue
            assert link["trace_id"] == result["trace_id"]
            assert link["span_id"] in known, span["name"]


def test_each_checkout_descends_from_the_request_that_asked_for_it(result: Json) -> None:
    clients = {s["span_id"] for s in result["spans"] if s["service"] == "shop" and s["kind"] == "CLIENT"}
    found = {
        next(a["span_id"] for a in ancestors(result, s) if a["kind"] == "CLIENT")
        for s in invocations(result, "checkout")
    }
    assert found == clients
    assert len(clients) == 3


def test_each_order_of_the_batch_has_its_own_span_under_the_checkout_that_sent_it(result: Json) -> None:
    found = {}
    for span in records(result):
        above = ancestors(result, span)
        client = next(a for a in above if a["service"] == "shop" and a["kind"] == "CLIENT")
        found[client["attributes"]["shop.order"]] = span["attributes"]["messaging.message.id"]
        assert "checkout" in {a["service"] for a in above}
    assert found == message_ids(result)


def test_the_batchs_invocation_is_tied_to_every_checkout_by_parent_or_link(result: Json) -> None:
    (billing,) = invocations(result, "billing")
    known = by_id(result)
    tied = [known[billing["parent_id"]], *(known[link["span_id"]] for link in billing["links"])]
    checkouts = set()
    for span in tied:
        line = [span, *ancestors(result, span)]
        checkouts.add(next(s["span_id"] for s in line if s["service"] == "checkout" and is_invocation(s)))
    assert checkouts == {span["span_id"] for span in invocations(result, "checkout")}
    for span in records(result):
        assert billing["span_id"] in {span["parent_id"], *(link["span_id"] for link in span["links"])}


@pytest.mark.parametrize(("function", "cause"), [("shipping", "billing"), ("remedy", "shipping")])
def test_a_function_behind_the_bus_descends_from_what_put_the_event(result: Json, function: str, cause: str) -> None:
    for span in invocations(result, function):
        others = [above["service"] for above in ancestors(result, span) if above["service"] != function]
        assert others[0] == cause


def test_waiting_is_seen_before_every_function(result: Json) -> None:
    for span in invocations(result):
        parent = by_id(result)[span["parent_id"]]
        assert parent["attributes"].get("hoptrace.hop") is True, span["service"]


def test_a_message_through_topic_and_queue_waits_in_both(result: Json) -> None:
    for span in records(result):
        topic_and_queue = [a for a in ancestors(result, span) if a["service"] == "billing" and a in hops(result)]
        assert len(topic_and_queue) == 2


def test_hops_lie_between_what_they_connect(result: Json) -> None:
    """Services tell milliseconds; of an event that hoptrace's own clients did not put, only the second is known."""
    known = by_id(result)
    assert hops(result)
    for hop in hops(result):
        producer = known[hop["parent_id"]]
        tolerance = SECOND if "hoptrace.start.granularity" in hop["attributes"] else 2_000_000
        assert hop["start"] <= hop["end"]
        assert hop["start"] >= producer["start"] - tolerance
        if producer["kind"] in {"CLIENT", "PRODUCER"}:
            assert hop["start"] <= producer["end"] + tolerance
        for child in result["spans"]:
            if child["parent_id"] == hop["span_id"] and child not in hops(result):
                assert hop["end"] <= child["start"]


def test_the_queue_hop_has_the_messages_own_times(result: Json) -> None:
    (asked,) = answers(result, "billing")
    sent = {int(record["attributes"]["SentTimestamp"]) for record in asked["event"]["Records"]}
    queue = [hop for hop in hops(result) if hop["service"] == "billing" and hop["start"] // 1_000_000 in sent]
    assert {hop["start"] // 1_000_000 for hop in queue} == sent


def test_the_poison_orders_failure_stands_on_its_own_span_alone(result: Json) -> None:
    failed = [span["attributes"]["messaging.message.id"] for span in records(result) if span["status"] == "ERROR"]
    assert failed == [message_ids(result)["1002"]]
    assert len(records(result)) == 3
    (billing,) = invocations(result, "billing")
    assert billing["status"] != "ERROR"
    errors = sorted(span["service"] for span in result["spans"] if span["status"] == "ERROR")
    assert errors == ["billing", "shipping"]


def test_the_timed_out_invocation_is_closed_by_the_collector_at_its_timeout(result: Json) -> None:
    (slow,) = [span for span in invocations(result, "shipping") if span["status"] == "ERROR"]
    assert slow["attributes"]["error.type"] == "timeout"
    assert slow["attributes"]["hoptrace.closed_by"] == "collector"
    assert abs((slow["end"] - slow["start"]) / SECOND - result["timeouts"]["shipping"]) < 1
    asked = next(a for a in answers(result, "shipping") if a["error"])
    assert asked["event"]["detail"]["order"] == "1003"


def test_what_the_slow_function_had_done_before_is_in_the_trace(result: Json) -> None:
    (slow,) = [span for span in invocations(result, "shipping") if span["status"] == "ERROR"]
    inside = [span for span in result["spans"] if span["parent_id"] == slow["span_id"] and span["kind"] == "CLIENT"]
    assert [span["name"] for span in inside] == ["DynamoDB.GetItem"]


def test_the_remedy_received_the_alert_and_acted_on_its_content(result: Json) -> None:
    (slow,) = [span for span in invocations(result, "shipping") if span["status"] == "ERROR"]
    (asked,) = answers(result, "remedy")
    assert asked["event"] == result["alert"]
    circuit = result["circuit"]
    assert circuit["state"] == "open"
    assert circuit["function"] == "shipping"
    assert circuit["error_type"] == "timeout"
    assert circuit["trace_id"] == result["trace_id"]
    assert circuit["request_id"] == slow["attributes"]["faas.invocation_id"]


def test_the_functions_answer_what_their_code_makes_of_the_events(result: Json) -> None:
    assert sorted(json.loads(a["payload"]["body"])["order"] for a in answers(result, "checkout")) == [
        "1001",
        "1002",
        "1003",
    ]
    for answer in answers(result, "checkout"):
        order = json.loads(answer["event"]["body"])["order"]
        assert answer["payload"] == {
            "statusCode": 202,
            "headers": {"content-type": "application/json"},
            "body": json.dumps({"order": order, "status": "accepted"}),
        }
    (billing,) = answers(result, "billing")
    assert billing["payload"] == {"batchItemFailures": [{"itemIdentifier": message_ids(result)["1002"]}]}
    assert result["mapping_result"] == "OK - 2 records, 1 partial failures"
    shipped = next(a for a in answers(result, "shipping") if not a["error"])
    assert shipped["payload"] == {"order": "1001", "carrier": "swift", "tracking": "swift-1001"}
    (slow,) = [a for a in answers(result, "shipping") if a["error"]]
    assert "timed out after 5.00 seconds" in slow["payload"]["errorMessage"]


def test_cold_starts_are_marked_and_have_their_init_span(result: Json) -> None:
    cold = [span for span in invocations(result) if span["attributes"]["faas.coldstart"]]
    assert len(cold) == sum(counted["cold_starts"] for counted in result["host"].values())
    inits = {s["parent_id"]: s for s in result["spans"] if s["attributes"].get("hoptrace.init") is True}
    assert set(inits) == {span["span_id"] for span in cold}
    for span in cold:
        init = inits[span["span_id"]]
        assert init["name"] == "init"
        assert init["start"] < init["end"] <= span["start"]


def total(result: Json, metric: str, function: str) -> float:
    points = [p for p in result["metrics"] if p["name"] == metric and p["resource"]["faas.name"] == function]
    return float(sum(point["value"] for point in points))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_collectors_metrics_are_what_the_host_counted(result: Json, function: str) -> None:
    counted = result["host"][function]
    assert total(result, "faas.invocations", function) == counted["invocations"] - counted["errors"]
    assert total(result, "faas.timeouts", function) == counted["timeouts"]
    assert total(result, "faas.errors", function) == counted["errors"] - counted["timeouts"]
    assert total(result, "faas.coldstarts", function) == counted["cold_starts"]
    durations = [
        p for p in result["metrics"] if p["name"] == "faas.invoke_duration" and p["resource"]["faas.name"] == function
    ]
    assert sum(point["count"] for point in durations) == counted["invocations"]
    spent = sum(span["end"] - span["start"] for span in invocations(result, function)) / SECOND
    assert sum(point["value"] for point in durations) == pytest.approx(spent, rel=0.01, abs=0.005)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_peak_by_spans_is_what_the_host_counted(result: Json, function: str) -> None:
    """Counted here anew: the largest number of environments that were starting or working at the beginning of one."""
    inits = {s["parent_id"]: s for s in result["spans"] if s["attributes"].get("hoptrace.init") is True}
    busy = [
        (min(s["start"], inits[s["span_id"]]["start"] if s["span_id"] in inits else s["start"]), s["end"])
        for s in invocations(result, function)
    ]
    peak = max(sum(start <= begin < end for start, end in busy) for begin, _ in busy)
    assert peak == result["host"][function]["peak_concurrency"]


def test_three_orders_at_once_are_three_environments(result: Json) -> None:
    assert result["host"]["checkout"]["peak_concurrency"] == 3


def test_the_users_backend_got_the_same_trace(result: Json) -> None:
    shown = {s["span_id"]: {key: value for key, value in s.items() if key != "service"} for s in result["spans"]}
    assert json.loads(json.dumps(result["backend"])) == shown


@pytest.fixture(scope="module")
def without_the_layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaHost]:
    """The same functions with the same resources in another emulator, and no layer."""
    with Emulator(tmp_path_factory.mktemp("ministack")) as emulator:
        emulator.start()
        made = stack.make_stores(emulator)
        common = {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator.endpoint}
        functions = [
            FunctionConfig(
                name=name,
                code=parts.application() / name,
                handler="app.handler",
                environment={**common, **made.environment(name)},
                timeout=30,
                region=REGION,
                account_id=stack.ACCOUNT,
            )
            for name in FUNCTIONS
        ]
        with LambdaHost(functions) as host:
            yield host


def test_without_the_layer_the_same_events_have_the_same_results(result: Json, without_the_layer: LambdaHost) -> None:
    for function in FUNCTIONS:  # in this order: the remedy changes what shipping does
        asked = [answer for answer in answers(result, function) if not answer["error"]]
        assert asked
        for answer in asked:
            bare = without_the_layer.invoke(function, json.dumps(answer["event"]).encode())
            assert json.loads(bare.payload) == answer["payload"]


def test_a_backend_that_nobody_listens_at_fails_the_demo_before_anything_is_started() -> None:
    with OtlpSink() as gone:
        endpoint = gone.endpoint
    done = subprocess.run(
        [sys.executable, "-m", "hoptrace_local.cli", "demo"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "Reach the backend" in last
    assert "refused" in last


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_takes_everything_it_started_with_it(
    tmp_path: Path, number: signal.Signals, code: int, result: Json
) -> None:
    """The run before has built the layer, so that this one is quickly where functions run."""
    command = [sys.executable, "-m", "hoptrace_local.cli", "demo", "--keep", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Create functions" in line:
                break
        assert processes_of(tmp_path)
        demo.send_signal(number)
        rest = demo.stdout.read()
    assert demo.returncode == code, rest
    assert "Traceback" not in rest
    assert processes_of(tmp_path) == []


def processes_of(folder: Path) -> list[str]:
    """Command lines of the running processes that were given the folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            try:
                told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in told:
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found
