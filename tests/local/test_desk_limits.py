"""What an environment may hold and use: memory, processor time, and the extensions inside the runtime's process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from desk_kit import DeskForTests, alive, eventually, notes

from hoptrace_local.lambda_host import cpu_group, environment, memory_watch

HOG = """
    import subprocess, sys, time
    def handler(event, context):
        if event == "child":
            subprocess.run([sys.executable, "-c", "x = bytearray(300 << 20)"])
        elif event:
            held = bytearray(event << 20)
        return "fits"
"""


@pytest.mark.parametrize("event", [300, "child"])
def test_a_function_that_holds_more_than_its_memory_is_killed(desk: DeskForTests, event: object) -> None:
    desk.add(HOG, memory=160, timeout=10, recorders={"recorder": {}})
    result = desk.invoke(event, request_id="r-1")
    assert result.function_error == "Unhandled"
    assert json.loads(result.payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: r-1 Error: Runtime exited with error: signal: killed",
    }
    told = {e["type"]: e["record"] for e in desk.host.telemetry("f")}
    done, report = told["platform.runtimeDone"], told["platform.report"]
    assert (done["status"], done["errorType"]) == ("error", "Runtime.OutOfMemory")
    assert (report["status"], report["errorType"]) == ("error", "Runtime.OutOfMemory")
    assert report["metrics"]["maxMemoryUsedMB"] == report["metrics"]["memorySizeMB"] == 160.0
    assert "Status: error\tError Type: Runtime.OutOfMemory" in result.log + "".join(line for _, line in desk.lines)
    shutdown = next(
        n["event"]
        for n in notes(desk.environment().tmp_dir)
        if n["kind"] == "event" and n["event"]["eventType"] == "SHUTDOWN"
    )
    assert shutdown["shutdownReason"] == "failure"
    assert desk.invoke(0).payload == b'"fits"'
    assert desk.host.stats("f").crashes == 1


def test_a_function_that_stays_below_its_memory_lives(desk: DeskForTests) -> None:
    desk.add(HOG, memory=512, timeout=10)
    result = desk.invoke(300)
    assert result.payload == b'"fits"'
    (report,) = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.report"]
    assert 300 <= report["metrics"]["maxMemoryUsedMB"] < 512


def test_an_initialization_that_holds_too_much_fails_twice_for_its_memory(desk: DeskForTests) -> None:
    desk.add("held = bytearray(300 << 20)\ndef handler(event, context): pass\n", memory=160, timeout=10)
    assert json.loads(desk.invoke().payload)["errorMessage"].endswith("signal: killed")
    reports = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.initReport"]
    assert [(r["phase"], r["status"], r["errorType"]) for r in reports] == [
        ("init", "error", "Runtime.OutOfMemory"),
        ("invoke", "error", "Runtime.OutOfMemory"),
    ]


def test_an_extension_that_holds_too_much_is_the_one_that_is_killed(desk: DeskForTests) -> None:
    desk.add(HOG, memory=160, timeout=10, recorders={"recorder": {"hold": 300, "work": 2}})
    desk.invoke(0)
    assert desk.environment().state == "idle"
    reports = [e["record"] for e in desk.host.telemetry("f") if e["type"] == "platform.report"]
    assert reports[-1]["errorType"] == "Extension.Crash"
    assert any("signal: killed" in line for _, line in desk.lines)


def test_a_family_is_found_through_every_thread_and_generation() -> None:
    pid = os.getpid()
    script = "import subprocess, sys, threading, time\n"
    script += (
        "threading.Thread(target=lambda: subprocess.run(['sleep', '20'])).start()\nprint(flush=True)\ntime.sleep(20)"
    )
    import subprocess
    import sys

    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            if not Path(f"/proc/{pid}/task/{pid}/children").exists():
                pytest.skip("the kernel does not tell children")
            assert eventually(lambda: len(memory_watch.family(child.pid)) >= 2)
            assert child.pid in memory_watch.family(pid)
            (grandchild,) = set(memory_watch.family(child.pid)) - {child.pid}
            os.kill(grandchild, 9)
        finally:
            child.kill()


BURN = """
    import time
    def handler(event, context):
        before = time.process_time()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            pass
        return time.process_time() - before
"""


def test_a_cpu_quota_stands_for_the_memory_size(desk: DeskForTests) -> None:
    probe = cpu_group.CpuGroup("probe", 1769)
    probe.close()
    if probe.unavailable:
        pytest.skip("no cpu control group may be written here")
    desk.add(BURN, memory=442, cpu_quota=True, timeout=30)
    used = json.loads(desk.invoke().payload)
    assert 0.1 < used < 0.4, "a quarter of a CPU"
    home, _ = cpu_group._own_group()
    mine = f"hoptrace-{os.getpid()}-{desk.environment().id}"
    assert (home / mine).is_dir()
    desk.host.shutdown("f")
    assert not (home / mine).exists()


def test_where_no_control_group_may_be_written_the_log_says_so_and_the_function_runs(
    desk: DeskForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing() -> tuple[Path, int]:
        raise OSError("the kernel offers no cpu control group here")

    monkeypatch.setattr(cpu_group, "_own_group", nothing)
    desk.add("def handler(event, context):\n    return 1\n", cpu_quota=True, memory=256)
    assert desk.invoke().payload == b"1"
    assert [line for _, line in desk.lines if "no CPU quota for 256 MB, the function runs at full speed" in line]


def test_the_quota_is_one_cpu_at_1769_mb_and_never_below_what_the_kernel_takes() -> None:
    assert [cpu_group.quota(memory) for memory in (1769, 3538, 128, 10240)] == [20_000, 40_000, 1447, 115_772]
    assert cpu_group.quota(1) == 1000


def test_a_group_left_behind_by_a_host_that_is_gone_is_removed(tmp_path: Path) -> None:
    (tmp_path / "hoptrace-999999999-x").mkdir()
    (tmp_path / f"hoptrace-{os.getppid()}-y").mkdir()
    cpu_group.CpuGroup("z", 128, home=tmp_path)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == sorted([f"hoptrace-{os.getppid()}-y", f"hoptrace-{os.getpid()}-z"])


INTERNAL = """
    import http.client, json, os, threading, time
    def call(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, "/2020-01-01/extension/" + path, body, sent)
        response = connection.getresponse()
        return response.status, response.getheader("Lambda-Extension-Identifier"), json.loads(response.read())
    refused = call("POST", "register", '{"events":["INVOKE","SHUTDOWN"]}', Lambda_Extension_Name="inside")
    _, identifier, _ = call("POST", "register", '{"events":["INVOKE"]}', Lambda_Extension_Name="inside")
    seen = []
    def listen():
        while True:
            seen.append(call("GET", "event/next", Lambda_Extension_Identifier=identifier)[2])
            time.sleep(0.2)
    threading.Thread(target=listen, daemon=True).start()
    def handler(event, context):
        late = call("POST", "register", '{"events":[]}', Lambda_Extension_Name="late")
        return [refused, [e["requestId"] for e in seen], late[2]["errorType"]]
"""


def test_an_internal_extension_hears_invocations_and_is_waited_for(desk: DeskForTests) -> None:
    desk.add(INTERNAL, recorders={"one": {}, "two": {}}, timeout=10)
    first = desk.invoke(request_id="r-1")
    (status, _, refused), _, late = json.loads(first.payload)
    assert (status, refused["errorType"]) == (403, "Extension.InvalidEventType")
    assert late == "Extension.RegistrationClosed"
    assert first.released_seconds - first.response_seconds > 0.15, "its work after the answer is waited for"
    assert json.loads(desk.invoke(request_id="r-2").payload)[1][0] == "r-1"
    info = desk.environment()
    names = {e["record"]["name"] for e in desk.host.telemetry("f") if e["type"] == "platform.extension"}
    assert names == {"one", "two", "inside"}
    desk.host.shutdown("f")
    for name in ("one", "two"):
        heard = [n["event"]["eventType"] for n in notes(info.tmp_dir, name) if n["kind"] == "event"]
        assert heard == ["INVOKE", "INVOKE", "SHUTDOWN"]


def test_with_internal_extensions_alone_the_runtime_is_terminated_before_it_is_killed(
    desk: DeskForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment._INTERNAL_SHUTDOWN == 0.5
    monkeypatch.setattr(environment, "_INTERNAL_SHUTDOWN", 5.0)  # so that a busy machine is in time
    # Blocked before the first thread starts, or that thread would take the signal and the process end at once.
    source = (
        """
    import os, signal, threading
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    def leave():
        signal.sigwait([signal.SIGTERM])
        open(os.environ["TMPDIR"] + "/terminated", "w").close()
        os._exit(0)
    threading.Thread(target=leave, daemon=True).start()
"""
        + INTERNAL
    )
    desk.add(source, timeout=10, shutdown_timeout=5.0)
    desk.invoke()
    info = desk.environment()
    before = time.monotonic()
    desk.host.shutdown("f")
    assert (info.tmp_dir / "terminated").exists()
    assert time.monotonic() - before < 1.4, "it need not wait for its whole share"
    assert info.runtime_pid is not None
    assert not alive(info.runtime_pid)
