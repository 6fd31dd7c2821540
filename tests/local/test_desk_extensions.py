"""External extensions on the desk: their order of life, their events and the answers that they get."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from desk_kit import DeskForTests, alive, eventually, notes

HELLO = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"


def kinds(recorded: list[dict[str, Any]]) -> list[str]:
    return [n["event"]["eventType"] if n["kind"] == "event" else n["kind"] for n in recorded]


def test_an_extension_registers_before_the_runtime_starts_and_hears_every_invocation(desk: DeskForTests) -> None:
    desk.add(
        "import time\nborn = time.time()\ndef handler(event, context):\n    return [born, time.time()]\n",
        recorders={"recorder": {}},
        timeout=5,
    )
    born, _ = json.loads(desk.invoke(request_id="r-1", trace_header="Root=1-2-3;Parent=4;Sampled=1").payload)
    desk.invoke(request_id="r-2")
    tmp_dir = desk.environment().tmp_dir
    desk.host.shutdown("f")
    recorded = notes(tmp_dir)
    assert kinds(recorded) == ["started", "registered", "next", "INVOKE", "next", "INVOKE", "next", "SHUTDOWN", "bye"]
    registered, first, shutdown = recorded[1], recorded[3]["event"], recorded[7]["event"]
    assert registered["at"] < born
    assert registered["body"] == {
        "functionName": "f",
        "functionVersion": "$LATEST",
        "handler": "app.handler",
        "accountId": "123456789012",
    }
    assert first["requestId"] == "r-1"
    assert first["invokedFunctionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:f"
    assert first["tracing"] == {"type": "X-Amzn-Trace-Id", "value": "Root=1-2-3;Parent=4;Sampled=1"}
    assert 0 < first["deadlineMs"] / 1000 - recorded[3]["at"] <= 5
    assert shutdown["shutdownReason"] == "spindown"
    assert 0 < shutdown["deadlineMs"] / 1000 - recorded[7]["at"] <= 2
    assert desk.kinds()[:4] == ["initStart", "initRuntimeDone", "extension", "initReport"]


def test_the_caller_is_answered_while_the_extension_still_works_and_the_environment_is_busy(desk: DeskForTests) -> None:
    desk.add(HELLO, recorders={"recorder": {"work": 0.5}})
    result = desk.invoke()
    assert result.released_seconds - result.response_seconds > 0.4
    order = [k for k in desk.kinds() if k in ("runtimeDone", "report")]
    assert order == ["runtimeDone", "report"]
    (report,) = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.report"]
    (overhead,) = report["spans"]
    assert overhead["name"] == "extensionOverhead"
    assert overhead["durationMs"] > 400


def test_an_extension_that_overruns_the_deadline_resets_the_environment_although_the_caller_has_its_answer(
    desk: DeskForTests,
) -> None:
    desk.add(HELLO, recorders={"recorder": {"work": 30}}, timeout=0.5, shutdown_timeout=0.2)
    result = desk.invoke()
    assert result.function_error is None
    assert result.response_seconds < 0.5
    assert desk.environment().state == "idle"
    (done, late) = [e["record"]["status"] for e in desk.host.telemetry("f") if e["type"] == "platform.runtimeDone"]
    assert (done, late) == ("success", "timeout")


def test_the_two_environments_hold_what_lambda_gives_to_runtime_and_extension(desk: DeskForTests) -> None:
    desk.add(HELLO, recorders={"recorder": {}}, environment={"MINE": "1", "AWS_ACCESS_KEY_ID": "AKIDMINE"}, memory=256)
    runtime = json.loads(desk.invoke().payload)
    info = desk.environment()
    extension = notes(info.tmp_dir)[0]["environment"]
    for both in (runtime, extension):
        assert both["MINE"] == "1"
        assert both["AWS_ACCESS_KEY_ID"] == "AKIDMINE"
        assert both["AWS_SECRET_ACCESS_KEY"]
        assert both["AWS_LAMBDA_FUNCTION_NAME"] == "f"
        assert both["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
        assert both["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
        assert both["AWS_REGION"] == both["AWS_DEFAULT_REGION"] == "us-east-1"
        assert both["TMPDIR"] == str(info.tmp_dir)
        assert both["HOPTRACE_RUN_DIR"] == str(info.run_dir)
        assert both["HOPTRACE_TELEMETRY_PORT"].isdigit()
    runtime_only = {
        *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME"),
        *("AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
    }
    assert runtime_only <= runtime.keys()
    assert not runtime_only & extension.keys()
    assert not [name for name in extension if name.startswith("_")]
    assert not [name for name in os.environ.keys() & runtime.keys() if name.startswith(("VIRTUAL_ENV", "PYTEST"))]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"exit_before_register": 2}, ("Extension.Crash", "exit status 2")),
        ({"init_error": {"errorMessage": "no endpoint", "errorType": "E"}}, ("Extension.ConfigInvalid", "no endpoint")),
        ({"exit_at": 1, "work": 0}, ("Extension.Crash", "exit code 0")),
    ],
)
def test_an_extension_that_ends_takes_the_environment_with_it(
    desk: DeskForTests, plan: dict[str, Any], expected: tuple[str, str]
) -> None:
    desk.add("import time\ndef handler(event, context):\n    time.sleep(1)\n", recorders={"recorder": plan})
    error = json.loads(desk.invoke(request_id="r").payload)
    assert (error["errorType"], error["errorMessage"]) == (expected[0], f"RequestId: r Error: {expected[1]}")


@pytest.mark.parametrize(("content", "mode"), [("#!/bin/sh\n", 0o644), ("\x00\x01 no program\n", 0o755)])
def test_a_file_that_cannot_be_executed_is_a_launch_error(
    desk: DeskForTests, tmp_path: Path, content: str, mode: int
) -> None:
    broken = tmp_path / "layer" / "extensions" / "broken"
    broken.parent.mkdir(parents=True)
    broken.write_text(content)
    broken.chmod(mode)
    desk.add(HELLO, layers=(tmp_path / "layer",))
    error = json.loads(desk.invoke().payload)
    assert error["errorType"] == "Extension.LaunchError"
    assert "/opt/extensions/broken" in error["errorMessage"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import time\ndef handler(event, context):\n    time.sleep(60)\n", "timeout"),
        ("import os\ndef handler(event, context):\n    os._exit(1)\n", "failure"),
    ],
)
def test_a_reset_tells_the_extension_why_and_gives_it_its_two_seconds(
    desk: DeskForTests, source: str, reason: str
) -> None:
    desk.add(source, recorders={"recorder": {"linger": 0.3}}, timeout=0.8)
    result = desk.invoke()
    recorded = notes(desk.environment().tmp_dir)
    assert kinds(recorded)[-2:] == ["SHUTDOWN", "bye"], "it could finish what it does at shutdown"
    assert recorded[-2]["event"]["shutdownReason"] == reason
    assert 1.5 < recorded[-2]["event"]["deadlineMs"] / 1000 - recorded[-2]["at"] <= 2
    assert result.released_seconds - result.response_seconds > 0.25
    assert desk.environment().extension_pids == {}


def test_an_extension_that_outlives_its_budget_is_killed(desk: DeskForTests) -> None:
    desk.add(HELLO, recorders={"recorder": {"linger": 30}}, shutdown_timeout=0.3)
    desk.invoke()
    info = desk.environment()
    before = time.monotonic()
    desk.host.shutdown("f")
    assert 0.25 < time.monotonic() - before < 2
    assert "bye" not in kinds(notes(info.tmp_dir))
    assert not any(alive(pid) for pid in info.extension_pids.values())


def test_the_runtime_is_terminated_before_the_extension_is_told_to_shut_down(desk: DeskForTests) -> None:
    desk.add(
        """
        import os, signal, threading, time
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        def leave():
            signal.sigwait([signal.SIGTERM])
            with open(os.environ["TMPDIR"] + "/terminated", "w") as out:
                out.write(str(time.time()))
            os._exit(0)
        threading.Thread(target=leave, daemon=True).start()
        def handler(event, context):
            pass
        """,
        recorders={"recorder": {}},
    )
    desk.invoke()
    info = desk.environment()
    desk.host.shutdown("f")
    shutdown = next(n for n in notes(info.tmp_dir) if n["kind"] == "event" and n["event"]["eventType"] == "SHUTDOWN")
    assert float((info.tmp_dir / "terminated").read_text()) < shutdown["at"]
    assert info.runtime_pid is not None
    assert not alive(info.runtime_pid)


def test_without_an_extension_the_runtime_is_killed_with_no_warning(desk: DeskForTests) -> None:
    desk.add(
        """
        import os, signal, threading
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        def leave():
            signal.sigwait([signal.SIGTERM])
            open(os.environ["TMPDIR"] + "/terminated", "w").close()
        threading.Thread(target=leave, daemon=True).start()
        def handler(event, context):
            pass
        """
    )
    desk.invoke()
    info = desk.environment()
    before = time.monotonic()
    desk.host.shutdown("f")
    assert time.monotonic() - before < 0.5
    assert not (info.tmp_dir / "terminated").exists()


def test_an_extension_without_invoke_is_not_awaited_and_two_extensions_both_run(desk: DeskForTests) -> None:
    desk.add(HELLO, recorders={"one": {"events": ["SHUTDOWN"]}, "two": {"events": ["SHUTDOWN"]}})
    desk.invoke()
    tmp_dir = desk.environment().tmp_dir
    desk.host.shutdown("f")
    for name in ("one", "two"):
        assert kinds(notes(tmp_dir, name)) == ["started", "registered", "next", "SHUTDOWN", "bye"]


def test_registration_answers_every_mistake_in_lambdas_words(desk: DeskForTests) -> None:
    register, name = "/2020-01-01/extension/register", "Lambda-Extension-Name"
    requests: list[tuple[tuple[str, str, object, dict[str, str]], str]] = [
        (("POST", register, {"events": []}, {}), "Extension.InvalidExtensionName"),
        (("POST", register, {"events": ["SHUTDOWN"]}, {name: "inside"}), "Extension.InvalidEventType"),
        (("POST", register, {"events": ["PARTY"]}, {name: "inside"}), "Extension.InvalidEventType"),
        (("POST", register, ["events"], {name: "inside"}), "InvalidRequestFormat"),
        (("POST", register, {"configurationKeys": ["key"]}, {name: "inside"}), "InvalidRequestFormat"),
        (("POST", register, {"events": []}, {name: "recorder"}), "Extension.InvalidExtensionState"),
        (("GET", "/2020-01-01/extension/event/next", None, {}), "Extension.MissingExtensionIdentifier"),
        (
            ("GET", "/2020-01-01/extension/event/next", None, {"Lambda-Extension-Identifier": "x"}),
            "Extension.InvalidExtensionIdentifier",
        ),
        (
            (
                "GET",
                "/2020-01-01/extension/event/next",
                None,
                {"Lambda-Extension-Identifier": "00000000-0000-4000-8000-000000000000"},
            ),
            "Extension.UnknownExtensionIdentifier",
        ),
        (
            ("POST", "/2020-01-01/extension/init/error", {}, {"Lambda-Extension-Identifier": "MINE"}),
            "Extension.MissingHeader",
        ),
    ]
    desk.add(HELLO, recorders={"recorder": {"requests": [request for request, _ in requests]}})
    assert desk.invoke().function_error is None
    given = [n for n in notes(desk.environment().tmp_dir) if n["kind"] == "answer"]
    assert [n["status"] for n in given] == [403] * len(requests)
    assert [n["body"]["errorType"] for n in given] == [error_type for _, error_type in requests]


def test_telemetry_reaches_the_extension_from_before_its_subscription_on(desk: DeskForTests) -> None:
    desk.add(
        "print('loading')\ndef handler(event, context):\n    print('running')\n",
        recorders={"recorder": {"telemetry": ["platform", "function"], "work": 0.15, "linger": 0.1}},
    )
    desk.invoke(request_id="r-1")
    desk.invoke(request_id="r-2")
    tmp_dir = desk.environment().tmp_dir
    desk.host.shutdown("f")
    recorded = notes(tmp_dir)
    events = [e for n in recorded if n["kind"] == "telemetry" for e in n["batch"]]
    received = [(e["type"].removeprefix("platform."), e["record"]) for e in events]
    types = [kind for kind, _ in received]
    assert types == [
        *("initStart", "telemetrySubscription", "function", "initRuntimeDone", "extension", "initReport"),
        *("start", "function", "runtimeDone", "report"),
        *("start", "function", "runtimeDone", "report"),
    ]
    report = next(record for kind, record in received if kind == "report")
    assert report["requestId"] == "r-1"
    assert all(isinstance(value, float) for value in report["metrics"].values())
    reported_at = next(n["at"] for n in recorded if n["kind"] == "telemetry" and "platform.report" in str(n["batch"]))
    second_invoke_at = [n["at"] for n in recorded if n["kind"] == "event"][1]
    assert reported_at > second_invoke_at, "the report of an invocation is seen in the next one"
    closed = next(n for n in recorded if n["kind"] == "resubscribed")
    assert (closed["status"], closed["body"]["errorType"]) == (403, "Telemetry.SubscriptionClosed")


def test_telemetry_waits_for_a_listener_that_comes_late(desk: DeskForTests) -> None:
    desk.add(HELLO, recorders={"recorder": {"telemetry": ["platform"], "listen_at": 2, "work": 0.4, "linger": 0.1}})
    desk.invoke()
    tmp_dir = desk.environment().tmp_dir
    assert "telemetry" not in kinds(notes(tmp_dir))
    desk.invoke()
    desk.host.shutdown("f")
    types = [e["type"] for n in notes(tmp_dir) if n["kind"] == "telemetry" for e in n["batch"]]
    assert types[0] == "platform.initStart"
    assert types.count("platform.report") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"schemaVersion": "1999-01-01"},
        {"types": []},
        {"types": ["party"]},
        {"destination": {"protocol": "HTTP", "URI": "http://example.com:80"}},
        {"destination": {"protocol": "CARRIER-PIGEON"}},
        {"buffering": {"maxItems": 1}},
        {"buffering": {"timeoutMs": 5}},
    ],
)
def test_a_subscription_that_does_not_fit_is_refused(desk: DeskForTests, wrong: dict[str, Any]) -> None:
    desk.add(HELLO, recorders={"recorder": {"telemetry": ["platform"], "subscription": wrong}})
    desk.invoke()
    (given,) = [n for n in notes(desk.environment().tmp_dir) if n["kind"] == "subscribed"]
    assert (given["status"], given["body"]["errorType"]) == (400, "ValidationError")


def test_a_timeout_is_told_to_the_extension_by_telemetry_before_it_ends(desk: DeskForTests) -> None:
    desk.add(
        "import time\ndef handler(event, context):\n    time.sleep(60)\n",
        recorders={"recorder": {"telemetry": ["platform"], "linger": 0.3}},
        timeout=0.6,
    )
    desk.invoke(request_id="r")
    events = [e for n in notes(desk.environment().tmp_dir) if n["kind"] == "telemetry" for e in n["batch"]]
    (done,) = [e["record"] for e in events if e["type"] == "platform.runtimeDone"]
    assert (done["requestId"], done["status"]) == ("r", "timeout")


def test_a_shell_can_be_an_extension_with_nothing_but_a_socket(desk: DeskForTests, tmp_path: Path) -> None:
    script = tmp_path / "layer" / "extensions" / "shell"
    script.parent.mkdir(parents=True)
    script.write_text(
        """#!/bin/bash
host=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:}
ask() { # method path header body
    exec 3<>"/dev/tcp/$host/$port"
    printf '%s %s HTTP/1.1\\r\\nHost: l\\r\\n%s\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' \\
        "$1" "$2" "$3" "${#4}" "$4" >&3
    cat <&3
    exec 3>&-
}
answer=$(ask POST /2020-01-01/extension/register 'Lambda-Extension-Name: shell' '{"events":["INVOKE","SHUTDOWN"]}')
id=$(printf '%s' "$answer" | grep -i '^lambda-extension-identifier' | tr -d '\\r' | cut -d' ' -f2)
while true; do
    event=$(ask GET /2020-01-01/extension/event/next "Lambda-Extension-Identifier: $id" '')
    case $event in
        *SHUTDOWN*) echo shutdown >> "$TMPDIR/shell"; exit 0 ;;
        *) echo invoke >> "$TMPDIR/shell" ;;
    esac
done
"""
    )
    script.chmod(0o755)
    desk.add(HELLO, layers=(tmp_path / "layer",))
    assert [desk.invoke().function_error for _ in range(3)] == [None] * 3
    tmp_dir = desk.environment().tmp_dir
    desk.host.shutdown("f")
    assert (tmp_dir / "shell").read_text().split() == ["invoke"] * 3 + ["shutdown"]


def test_extensions_are_frozen_too(desk: DeskForTests, tmp_path: Path) -> None:
    desk.add(HELLO, recorders={"recorder": {}})
    desk.invoke()
    pids = [desk.environment().runtime_pid, *desk.environment().extension_pids.values()]

    def states() -> list[str]:
        return [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in pids]

    assert eventually(lambda: states() == ["T", "T"]), "a signal takes the moment until its process is scheduled"


def test_hundred_warm_invocations_keep_one_environment_and_lose_nothing(desk: DeskForTests) -> None:
    desk.add("def handler(event, context):\n    return event\n", recorders={"recorder": {}})
    ids = {desk.invoke(n).environment_id for n in range(100)}
    assert len(ids) == 1
    recorded = [n["event"]["requestId"] for n in notes(desk.environment().tmp_dir) if n["kind"] == "event"]
    assert len(set(recorded)) == 100


def test_many_threads_invoke_at_once(desk: DeskForTests) -> None:
    desk.add("def handler(event, context):\n    return event\n")
    answers: list[int] = []
    numbers = itertools.count()

    def work() -> None:
        for _ in range(10):
            number = next(numbers)
            answers.append(json.loads(desk.invoke(number).payload) == number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 40
    assert desk.host.stats("f").peak_concurrency <= 4
    assert eventually(lambda: all(e.state == "frozen" for e in desk.host.environments("f")))
