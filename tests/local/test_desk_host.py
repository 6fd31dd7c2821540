"""The host around the functions: its own port, its clear errors, its end, other interpreters and the path."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from desk_kit import RECORDER, DeskForTests, alive, eventually

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost, LambdaHostError

ECHO = """
    import os
    def handler(event, context):
        if event == "fail": raise ValueError("no")
        custom = getattr(context.client_context, "custom", None)
        return [event, context.aws_request_id, os.environ["_X_AMZN_TRACE_ID"], context.invoked_function_arn, custom]
"""


def post(port: int, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, answer


def test_boto3_invokes_a_function_as_it_would_in_the_cloud(desk: DeskForTests) -> None:
    desk.add(ECHO)
    client = boto3.client(
        "lambda",
        endpoint_url=f"http://127.0.0.1:{desk.host.serve()}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    context = base64.b64encode(b'{"custom":{"k":"v"}}').decode()
    answer = client.invoke(FunctionName="f", Payload=b'{"a":1}', ClientContext=context, Qualifier="live")
    event, _, trace, arn, custom = json.loads(answer["Payload"].read())
    assert (event, custom) == ({"a": 1}, {"k": "v"})
    assert arn.endswith(":function:f:live")
    assert trace.startswith("Root=1-")
    assert "FunctionError" not in answer
    failed = client.invoke(FunctionName="arn:aws:lambda:us-east-1:123456789012:function:f", Payload=b'"fail"')
    assert failed["StatusCode"] == 200
    assert failed["FunctionError"] == "Unhandled"
    assert json.loads(failed["Payload"].read())["errorType"] == "ValueError"
    accepted = client.invoke(FunctionName="f", Payload=b"{}", InvocationType="Event")
    assert accepted["StatusCode"] == 202
    assert eventually(lambda: desk.host.stats("f").invocations == 3)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.invoke(FunctionName="absent")
    client.close()


def test_an_emulator_forwards_events_through_the_proxy(desk: DeskForTests) -> None:
    desk.add(ECHO)
    port = desk.host.serve()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    status, _, answer = post(port, "/proxy/f", b'{"a":1}', X_Amzn_Lambda_Request_Id="r-1", X_Amzn_Trace_Id=trace)
    assert status == 200
    assert json.loads(answer)[:3] == [{"a": 1}, "r-1", trace]
    status, _, answer = post(port, "/proxy/f", b'"fail"')
    assert status == 500
    assert json.loads(answer)["errorMessage"] == "no"
    assert post(port, "/proxy/absent", b"{}")[0] == 404


def test_the_ports_caller_is_answered_before_the_extension_is_done(desk: DeskForTests) -> None:
    desk.add(ECHO, recorders={"recorder": {"work": 1.0}}, timeout=5)
    port = desk.host.serve()
    assert post(port, "/proxy/f", b"{}")[0] == 200
    assert desk.environment().state == "busy"


def test_what_can_never_run_is_refused_with_a_word_on_what_to_do(desk: DeskForTests, tmp_path: Path) -> None:
    def refuse(match: str, **config: object) -> None:
        with pytest.raises(LambdaHostError, match=match):
            desk.host.add(FunctionConfig(**({"name": "g", "code": tmp_path, "handler": "app.handler"} | config)))  # type: ignore[arg-type]

    (tmp_path / "app.py").write_text("")
    (tmp_path / "text").write_text("no zip")
    refuse("code folder .*absent.* does not exist", code=tmp_path / "absent")
    refuse("handler nothere.handler .*correct FunctionConfig.handler", handler="nothere.handler")
    refuse("layer .*layer.zip does not exist", layers=(tmp_path / "layer.zip",))
    refuse("neither a folder nor a zip", layers=(tmp_path / "text",))
    refuse("interpreter /nonexistent/python does not run", python=Path("/nonexistent/python"))
    with pytest.raises(LambdaHostError, match="no function named h"):
        desk.invoke(name="h")
    desk.add(ECHO, name="once")
    with pytest.raises(LambdaHostError, match="there already"):
        desk.host.add(FunctionConfig("once", tmp_path, "app.handler"))


def test_a_port_in_use_is_a_clear_error(desk: DeskForTests) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LambdaHostError, match=r"cannot listen on 127.0.0.1:\d+ .*port 0"):
            desk.host.serve(taken.getsockname()[1])
    assert desk.host.serve() > 0


def test_layers_lie_over_each_other_and_their_pth_files_run_before_the_handler_is_read(
    desk: DeskForTests, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second.zip"
    (first / "python").mkdir(parents=True)
    (first / "python" / "both.py").write_text("who = 'first'")
    (first / "python" / "only_first.py").write_text("")
    with zipfile.ZipFile(second, "w") as archive:
        archive.writestr("python/both.py", "who = 'second'")
        archive.writestr("python/hook.pth", "import os; os.environ['_HANDLER'] = 'app.other'\n")
        archive.writestr("python/shadowed.py", "who = 'layer'")
    desk.add(
        """
        import both, only_first, shadowed, sys
        def handler(event, context):
            return "the hook came too late"
        def other(event, context):
            return [both.who, shadowed.who, [p for p in sys.path if "site-packages" in p and "/opt/" not in p]]
        """,
        layers=(first, second),
    )
    (tmp_path / "f" / "shadowed.py").write_text("who = 'function'")
    assert json.loads(desk.invoke().payload) == ["second", "function", []]


def test_pythonpath_of_the_function_takes_the_layers_place(desk: DeskForTests, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "python").mkdir(parents=True)
    (layer / "python" / "hook.pth").write_text("import os; os.environ['HOOKED'] = '1'\n")
    desk.add(
        """
        import os, sys
        def handler(event, context):
            return ["HOOKED" in os.environ, "/opt/python" in str(sys.path)]
        """,
        layers=(layer,),
        environment={"PYTHONPATH": "/nowhere"},
    )
    assert json.loads(desk.invoke().payload) == [False, False]


def test_the_function_sees_lambdas_boto3_and_nothing_else_of_the_desk(desk: DeskForTests) -> None:
    desk.add(
        """
        import importlib.util, os
        def handler(event, context):
            names = ["boto3", "awslambdaric", "aiohttp", "click", "hoptrace_local", "pip", "pytest"]
            return [name for name in names if importlib.util.find_spec(name)]
        """
    )
    assert json.loads(desk.invoke().payload) == ["boto3", "awslambdaric"]


def test_an_exec_wrapper_starts_the_runtime(desk: DeskForTests, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "wrap").write_text('#!/bin/sh\nexport WRAPPED=1\nexec "$@"\n')
    (layer / "wrap").chmod(0o755)
    desk.add(
        "import os\ndef handler(event, context):\n    return os.environ['WRAPPED']\n",
        layers=(layer,),
        environment={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"},
    )
    assert desk.invoke().payload == b'"1"'


def test_children_are_gone_when_the_host_is_killed(tmp_path: Path) -> None:
    code, extensions = tmp_path / "code", tmp_path / "layer" / "extensions"
    code.mkdir()
    (code / "app.py").write_text(
        "import os, subprocess, time\ndef handler(event, context):\n"
        "    print('pids', os.getpid(), subprocess.Popen(['sleep', '100']).pid, flush=True)\n    time.sleep(60)\n"
    )
    extensions.mkdir(parents=True)
    shutil.copy(RECORDER, extensions)
    (extensions / RECORDER.name).chmod(0o755)
    script = f"""
        from pathlib import Path
        from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
        layers = (Path({str(extensions.parent)!r}),)
        function = FunctionConfig("f", Path({str(code)!r}), "app.handler", layers=layers, timeout=60)
        host = LambdaHost([function], state_dir=Path({str(tmp_path)!r}), on_log=lambda _, line: print(line, flush=True))
        host.invoke("f", b"null")
    """
    host = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    pids = next([int(word) for word in line.split()[1:]] for line in host.stdout if line.startswith("pids"))
    (recorded,) = tmp_path.glob("f/environments/*/tmp/recorder.py.jsonl")
    pids.append(json.loads(recorded.read_text().splitlines()[0])["pid"])
    assert all(map(alive, pids)), "none of them is frozen now: the kernel hangs up on stopped orphans by itself"
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    assert eventually(lambda: not any(map(alive, pids)))


def test_shutdown_cuts_an_invocation_that_would_go_on_and_on(desk: DeskForTests) -> None:
    desk.add(
        "import time\ndef handler(event, context):\n    print('in', flush=True)\n    time.sleep(60)\n", timeout=0.7
    )
    results = []
    thread = threading.Thread(target=lambda: results.append(desk.invoke()))
    thread.start()
    assert eventually(lambda: ("f", "in") in desk.lines)
    desk.host.shutdown()
    thread.join(5)
    assert json.loads(results[0].payload)["errorType"] in ("Sandbox.Timedout", "Sandbox.Failure")


def test_a_host_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(os.listdir("/proc/self/fd"))
    with LambdaHost() as host:
        code = tmp_path / "code"
        code.mkdir()
        (code / "app.py").write_text("def handler(event, context): pass\n")
        host.add(FunctionConfig("f", code, "app.handler"))
        host.invoke("f", b"1")
        host.serve()
    assert [p.name for p in tmp_path.iterdir()] == ["code"]
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0
    host.shutdown()
