"""Functions on the desk answer as Lambda's do: results, errors, exits, timeouts."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import pytest
from desk_kit import DeskForTests, alive, eventually

HELLO = """
    import os, sys
    def handler(event, context):
        print("hello from", context.aws_request_id)
        return {"event": event, "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
                "trace": os.environ["_X_AMZN_TRACE_ID"], "custom": getattr(context.client_context, "custom", None)}
"""


def test_a_function_gets_its_event_and_context_and_its_result_comes_back(desk: DeskForTests) -> None:
    desk.add(HELLO, timeout=5)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:e547cb94:0"
    result = desk.invoke(
        {"n": 1}, request_id="r-1", trace_header=trace, client_context='{"custom":{"k":"v"}}', qualifier="live"
    )
    answer = json.loads(result.payload)
    assert result.function_error is None
    assert result.status_code == 200
    assert answer["event"] == {"n": 1}
    assert answer["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:f:live"
    assert 4000 < answer["left"] <= 5000
    assert answer["trace"] == trace
    assert answer["custom"] == {"k": "v"}
    assert "hello from r-1" in result.log


def test_the_first_invocation_is_cold_and_the_second_reuses_the_environment(desk: DeskForTests) -> None:
    desk.add(HELLO)
    first, second = desk.invoke(), desk.invoke()
    assert first.cold_start
    assert not second.cold_start
    assert first.init_seconds is not None
    assert 0 < first.init_seconds < first.response_seconds <= first.released_seconds
    assert second.init_seconds is None
    assert first.environment_id == second.environment_id
    stats = desk.host.stats("f")
    assert (stats.invocations, stats.cold_starts, stats.errors, stats.environments) == (2, 1, 0, 1)


def test_an_exception_comes_back_in_the_runtimes_own_words_and_the_environment_lives_on(desk: DeskForTests) -> None:
    desk.add("def handler(event, context):\n    raise ValueError('no')\n")
    result = desk.invoke()
    error = json.loads(result.payload)
    assert result.function_error == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no")
    assert not desk.invoke().cold_start
    (done, _) = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.runtimeDone"]
    assert done["status"] == "success"


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("sys.exit()", "Runtime exited without providing a reason"),
        ("os._exit(1)", "Runtime exited with error: exit status 1"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_runtime_that_ends_is_an_exit_error_and_the_environment_starts_again(
    desk: DeskForTests, leave: str, said: str
) -> None:
    desk.add(f"import os, sys\ndef handler(event, context):\n    if event: {leave}\n    return 'fine'\n")
    result = desk.invoke(True, request_id="r-9")
    assert json.loads(result.payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: r-9 Error: {said}",
    }
    assert result.function_error == "Unhandled"
    again = desk.invoke(False)
    assert again.payload == b'"fine"'
    assert again.environment_id == result.environment_id
    assert again.cold_start
    assert desk.host.stats("f").crashes == 1
    done = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.runtimeDone"]
    assert [(d["status"], d.get("errorType")) for d in done] == [("error", "Runtime.ExitError"), ("success", None)]


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [
        ("nodot", "Runtime.MalformedHandlerName"),
        ("missing.handler", "Runtime.ImportModuleError"),
        ("app.absent", "Runtime.HandlerNotFound"),
        ("sys.exit", "Runtime.BuiltInModuleConflict"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_initialized_twice_and_then_told_to_the_caller(
    desk: DeskForTests, handler: str, error_type: str
) -> None:
    desk.add("def handler(event, context): pass\n", handler=handler, check_handler=False)
    result = desk.invoke()
    assert result.function_error == "Unhandled"
    assert json.loads(result.payload)["errorType"] == error_type
    reports = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.initReport"]
    assert [(r["phase"], r["status"], r["errorType"]) for r in reports] == [
        ("init", "error", error_type),
        ("invoke", "error", error_type),
    ]


def test_an_error_in_the_modules_own_code_is_told_with_its_type(desk: DeskForTests) -> None:
    desk.add("import json\nraise KeyError('setting')\n")
    error = json.loads(desk.invoke().payload)
    assert error["errorType"] == "KeyError"
    assert "setting" in error["errorMessage"]


def test_a_module_that_exits_while_it_loads_is_an_exit_error(desk: DeskForTests) -> None:
    desk.add("import os\nos._exit(4)\ndef handler(event, context): pass\n")
    error = json.loads(desk.invoke(request_id="r").payload)
    assert error == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: r Error: Runtime exited with error: exit status 4",
    }


def test_a_timeout_kills_the_runtime_resets_the_environment_and_leaves_its_tmp(desk: DeskForTests) -> None:
    desk.add(
        """
        import os, time, tempfile
        def handler(event, context):
            path = os.path.join(tempfile.gettempdir(), "kept")
            if event == "hang":
                open(path, "w").write("still here")
                time.sleep(60)
            return [os.getpid(), open(path).read()]
        """,
        timeout=0.5,
    )
    result = desk.invoke("hang", request_id="r-5")
    assert json.loads(result.payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r-5 Error: Task timed out after 0.50 seconds",
    }
    assert result.function_error == "Unhandled"
    assert 0.5 <= result.response_seconds < 1.5
    assert desk.environment().state == "idle"
    assert desk.environment().runtime_pid is None
    again = desk.invoke("look")
    assert again.environment_id == result.environment_id
    assert json.loads(again.payload)[1] == "still here"
    assert desk.host.stats("f").timeouts == 1
    assert desk.kinds() == [
        *("initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"),
        *("start", "initStart", "initRuntimeDone", "initReport", "runtimeDone", "report"),
    ]
    done = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.runtimeDone"]
    assert [d["status"] for d in done] == ["timeout", "success"]


def test_a_slow_initialization_is_cut_and_run_again_within_the_functions_timeout(desk: DeskForTests) -> None:
    desk.add(
        """
        import os, time
        if not os.path.exists(os.environ["TMPDIR"] + "/again"):
            open(os.environ["TMPDIR"] + "/again", "w").close()
            time.sleep(60)
        def handler(event, context):
            return context.get_remaining_time_in_millis()
        """,
        init_timeout=0.3,
        timeout=4,
    )
    result = desk.invoke()
    assert result.function_error is None
    assert 0 < json.loads(result.payload) < 4000
    reports = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.initReport"]
    assert [(r["phase"], r["status"]) for r in reports] == [("init", "timeout"), ("invoke", "success")]


def test_a_runtime_killed_from_outside_while_it_runs_is_a_crash(desk: DeskForTests) -> None:
    desk.add("import time\ndef handler(event, context):\n    print('in', flush=True)\n    time.sleep(30)\n", timeout=20)
    results = []
    thread = threading.Thread(target=lambda: results.append(desk.invoke(request_id="r")))
    thread.start()
    assert eventually(lambda: ("f", "in") in desk.lines)
    desk.host.kill_runtime("f", sig=signal.SIGKILL)
    thread.join(10)
    assert (
        json.loads(results[0].payload)["errorMessage"]
        == "RequestId: r Error: Runtime exited with error: signal: killed"
    )


def test_nothing_runs_between_invocations(desk: DeskForTests) -> None:
    desk.add(
        """
        import threading, time
        ticks = 0
        def count():
            global ticks
            while True:
                ticks += 1
                time.sleep(0.001)
        threading.Thread(target=count, daemon=True).start()
        def handler(event, context):
            before = ticks
            time.sleep(0.05)
            return [before, ticks]
        """
    )
    _, first = json.loads(desk.invoke().payload)
    assert desk.environment().state == "frozen"
    time.sleep(0.4)
    second, after = json.loads(desk.invoke().payload)
    assert first > 5, "the thread does count while the function runs"
    assert second - first < 60, "400 ms of freezing would have been hundreds of ticks"
    assert after > second + 5, "and it goes on afterwards"


def test_parallel_invocations_get_environments_of_their_own_and_are_counted(desk: DeskForTests) -> None:
    desk.add("import time\ndef handler(event, context):\n    time.sleep(0.4)\n    return event\n", max_environments=3)
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(desk.invoke(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [r for r in results if r.status_code == 200]
    throttled = [r for r in results if r.status_code == 429]
    assert len({r.environment_id for r in good}) == 3
    assert len(throttled) == 1
    assert json.loads(throttled[0].payload)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    stats = desk.host.stats("f")
    assert (stats.peak_concurrency, stats.environments, stats.cold_starts, stats.throttles) == (3, 3, 3, 1)
    assert desk.invoke().environment_id in {r.environment_id for r in good}


def test_an_answer_beyond_six_megabytes_is_refused_in_lambdas_words(desk: DeskForTests) -> None:
    desk.add("def handler(event, context):\n    return 'x' * event\n", timeout=10)
    fits = desk.invoke(6 * 1024 * 1024 - 2)
    assert fits.function_error is None
    assert len(fits.payload) == 6 * 1024 * 1024
    result = desk.invoke(6 * 1024 * 1024 + 200)
    assert result.function_error == "Unhandled"
    assert json.loads(result.payload)["errorType"] == "Function.ResponseSizeTooLarge"


def test_an_environment_made_ahead_makes_no_invocation_wait(desk: DeskForTests) -> None:
    desk.add(
        "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n",
        initialization_type="provisioned-concurrency",
    )
    desk.host.initialize("f", 2)
    assert [e.state for e in desk.host.environments("f")] == ["frozen", "frozen"]
    result = desk.invoke()
    assert result.payload == b'"provisioned-concurrency"'
    assert not result.cold_start
    assert desk.host.stats("f").cold_starts == 0


def test_what_provisioned_environments_cannot_take_spills_over_to_on_demand_ones(desk: DeskForTests) -> None:
    desk.add(
        """
        import os, time
        def handler(event, context):
            time.sleep(event)
            return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
        """,
        initialization_type="provisioned-concurrency",
        max_environments=2,
    )
    desk.host.initialize("f", 1)
    results = []
    threads = [threading.Thread(target=lambda: results.append(desk.invoke(0.5))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    served = sorted((r.payload, r.cold_start) for r in results if r.status_code == 200)
    assert served == [(b'"on-demand"', True), (b'"provisioned-concurrency"', False)]
    stats = desk.host.stats("f")
    assert (stats.spillovers, stats.throttles, stats.cold_starts) == (1, 1, 1)
    for _ in range(3):
        assert desk.invoke(0).payload == b'"provisioned-concurrency"', "provisioned ones come first"
    types = [e["record"]["initializationType"] for e in desk.host.telemetry("f") if e["type"] == "platform.initReport"]
    assert types == ["provisioned-concurrency", "on-demand"]


def test_a_reserved_concurrency_of_none_throttles_everything(desk: DeskForTests) -> None:
    desk.add("def handler(event, context): pass\n", max_environments=0)
    assert desk.invoke().status_code == 429


def test_a_snapshot_is_restored_before_the_first_invocation(desk: DeskForTests) -> None:
    desk.add(
        """
        from snapshot_restore_py import register_before_snapshot, register_after_restore
        seen = []
        register_before_snapshot(lambda: seen.append("before"))
        register_after_restore(lambda: seen.append("after"))
        def handler(event, context):
            return seen
        """,
        initialization_type="snap-start",
    )
    assert json.loads(desk.invoke().payload) == ["before", "after"]
    assert desk.kinds()[:6] == [
        *("initStart", "initRuntimeDone", "initReport"),
        *("restoreStart", "restoreRuntimeDone", "restoreReport"),
    ]


def test_shutdown_leaves_no_process_not_even_a_grandchild(desk: DeskForTests) -> None:
    desk.add("import subprocess\ndef handler(event, context):\n    return subprocess.Popen(['sleep', '100']).pid\n")
    grandchild = json.loads(desk.invoke().payload)
    runtime = desk.environment().runtime_pid
    assert runtime is not None
    assert alive(runtime)
    assert alive(grandchild)
    desk.host.shutdown("f")
    assert not alive(runtime)
    assert eventually(lambda: not alive(grandchild))
    assert desk.host.environments("f") == []


def test_a_runtime_that_ends_leaves_no_grandchild(desk: DeskForTests) -> None:
    desk.add(
        """
        import os, subprocess
        def handler(event, context):
            print("grandchild", subprocess.Popen(["sleep", "100"]).pid, flush=True)
            os._exit(1)
        """
    )
    desk.invoke()
    (grandchild,) = [int(line.split()[1]) for _, line in desk.lines if line.startswith("grandchild")]
    assert eventually(lambda: not alive(grandchild))


def test_what_a_function_logs_is_one_event_a_message_however_many_lines_it_has(desk: DeskForTests) -> None:
    desk.add(
        """
        import logging
        def handler(event, context):
            logging.getLogger().warning("two\\nlines")
            print("printed")
        """
    )
    desk.invoke()
    records = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "function"]
    assert len(records) == 2
    assert any(record.endswith("two\nlines") for record in records)
    assert "printed" in records


def test_json_logs_are_objects_in_the_telemetry(desk: DeskForTests) -> None:
    desk.add(
        "import logging\ndef handler(event, context):\n    logging.getLogger().warning('w', extra={'k': 1})\n",
        environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"},
    )
    desk.invoke(request_id="r-7")
    (record,) = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "function"]
    assert (record["message"], record["level"], record["k"], record["requestId"]) == ("w", "WARNING", 1, "r-7")


def test_the_code_folder_is_left_as_it_was(desk: DeskForTests, tmp_path: Path) -> None:
    desk.add("import helper\ndef handler(event, context): pass\n")
    (tmp_path / "f" / "helper.py").write_text("")
    assert desk.invoke().function_error is None
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == ["app.py", "helper.py"]
