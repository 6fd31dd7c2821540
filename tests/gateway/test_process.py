"""The gateway as a process of its own, as a host starts it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from hoptrace_collector.gateway.settings import Unusable, read_gateway
from tests.collector.support import Backend, spans_of
from tests.support.parts import REPOSITORY

from .support import PROTOBUF, SECOND, traces


@contextmanager
def gateway(*arguments: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "hoptrace_collector.gateway", "--listen", "127.0.0.1:0", "--admin", "none", *arguments],
        env={"PATH": os.environ["PATH"], **env},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = ""
        while "listening" not in line:
            line = process.stderr.readline()
            assert line, "it ended"
        yield process, int(line.rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


def test_sigterm_under_load_loses_nothing_that_was_accepted() -> None:
    accepted: list[int] = []
    with Backend() as backend, gateway(OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as (process, port):

        def send(number: int) -> None:
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                while True:
                    number += 1
                    body = traces((number, SECOND, 2 * SECOND))
                    connection.request("POST", "/v1/traces", body, {"content-type": PROTOBUF})
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 200:
                        accepted.append(number)
            except (OSError, HTTPException):
                pass  # not accepted
            finally:
                connection.close()

        threads = [threading.Thread(target=send, args=(first * 1_000_000,)) for first in range(1, 5)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 10
        while len(accepted) < 200:
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        for thread in threads:
            thread.join()
        assert process.returncode == 0, log
        arrived = [int.from_bytes(span.span_id, "big") for span in spans_of(backend)]
        assert set(accepted) <= set(arrived)
        assert len(arrived) == len(set(arrived)), "and nothing comes twice"


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (["--listen", "4318"], {}, "--listen='4318' is not HOST:PORT, such as 0.0.0.0:4318"),
        ([], {"HOPTRACE_GATEWAY_ADMIN": "here"}, "HOPTRACE_GATEWAY_ADMIN='here' is not HOST:PORT"),
        (["--senders", "none"], {}, "--senders='none' is not a whole number from 1 to 64"),
        (["--limit", "a=b"], {}, "--limit: 'a=b' is neither a number nor ACCOUNT=NUMBER"),
        (["--certificate", "cert.pem"], {}, "must be set together"),
    ],
)
def test_a_bad_setting_is_one_message_that_says_what_to_do(
    arguments: list[str], env: dict[str, str], message: str
) -> None:
    with pytest.raises(Unusable, match=re.escape(message)):
        read_gateway(arguments, env)


def test_arguments_win_over_variables() -> None:
    env = {
        "HOPTRACE_GATEWAY_LISTEN": "[::1]:1",
        "HOPTRACE_CONCURRENCY_LIMIT": "1000, 1=5,1/eu=7",
        "HOPTRACE_QUEUE_BYTES": "70000",
    }
    settings = read_gateway(["--queue-bytes", "80000"], env)
    assert str(settings.listen) == "[::1]:1"
    assert settings.listen.here
    assert settings.queue_bytes == 80000
    assert settings.limits == ((("", ""), 1000), (("1", ""), 5), (("1", "eu"), 7))


def test_a_gateway_that_cannot_start_says_why_and_ends() -> None:
    command = [sys.executable, "-m", "hoptrace_collector.gateway", "--tokens-file", "/no/such/file"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (
        2,
        "hoptrace: the tokens cannot be read from /no/such/file (No such file or directory)\n",
    )


def test_the_extension_loads_nothing_of_the_gateway_and_the_layer_does_not_hold_it(tmp_path: Path) -> None:
    code = "import sys, hoptrace_collector.app; sys.exit(any('gateway' in m or m == 'aiohttp' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    sys.path.insert(0, str(REPOSITORY / "layer"))
    try:
        import build
    finally:
        sys.path.pop(0)
    build.copy_sources(REPOSITORY / "collector" / "hoptrace_collector", tmp_path)
    assert (tmp_path / "app.py").is_file()
    assert not (tmp_path / "gateway").exists()
