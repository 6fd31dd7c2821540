"""The gateway takes OTLP from many, sends it on, and keeps within its bounds whoever sends."""

import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoptrace_collector.gateway.settings import Unusable
from tests.collector.support import Backend, free_port, spans_of, unpacked

from .support import SECOND, Running, gauges, traces

NOW = 1_790_000_000 * SECOND
ONE = traces((1, NOW, NOW + SECOND))


def wait(condition: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_what_is_taken_arrives_at_the_backend() -> None:
    with Backend() as backend, Running(backend) as gateway:
        status, headers, body = gateway.post(ONE)
        assert (status, headers["content-type"], body) == (200, "application/x-protobuf", b"")
        packed = gateway.post(gzip.compress(traces((2, NOW, NOW + 1))), content_encoding="gzip")
        assert packed[0] == 200
        wait(lambda: len(spans_of(backend)) == 2)
        assert {span.span_id[-1] for span in spans_of(backend)} == {1, 2}


def test_json_metrics_and_logs_are_taken_too() -> None:
    with Backend() as backend, Running(backend) as gateway:
        log = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "hello"}}]}]}]}
        point = {"name": "m", "gauge": {"dataPoints": [{"asInt": "7", "timeUnixNano": "1"}]}}
        metric = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [point]}]}]}
        for path, value in (("/v1/logs", log), ("/v1/metrics", metric)):
            status, headers, body = gateway.post(json.dumps(value).encode(), path, content_type="application/json")
            assert (status, headers["content-type"], body) == (200, "application/json", b"{}")
        wait(lambda: {posted.path for posted in backend.requests} == {"/v1/logs", "/v1/metrics"})


@pytest.mark.parametrize(
    ("body", "path", "headers", "status"),
    [
        (b"\xff" * 50, "/v1/traces", {}, 400),
        (ONE, "/v1/spans", {}, 404),
        (ONE, "/v1/traces", {"content_type": "text/plain"}, 415),
        (ONE, "/v1/traces", {"content_encoding": "br"}, 415),
        (b"x" * 2000, "/v1/traces", {}, 413),
        (gzip.compress(b"\0" * 2_000_000), "/v1/traces", {"content_encoding": "gzip"}, 413),
        (gzip.compress(ONE)[:-9], "/v1/traces", {"content_encoding": "gzip"}, 400),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(
    body: bytes, path: str, headers: dict[str, str], status: int
) -> None:
    with Backend() as backend, Running(backend, request_bytes=1500) as gateway:
        answer = gateway.post(body, path, **headers)
        assert answer[0] == status
        assert gateway.counters.total("otlp_refused", str(status)) == 1
        assert gateway.post(ONE)[0] == 200


def test_a_body_in_chunks_is_bounded_as_well() -> None:
    with Backend() as backend, Running(backend, request_bytes=100_000) as gateway:
        connection = gateway.connect()
        chunks = (b"x" * 10_000 for _ in range(1000))
        try:
            connection.request("POST", "/v1/traces", chunks, {"content-type": "application/x-protobuf"})
            assert connection.getresponse().status == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused while it was still sending
        finally:
            connection.close()
        assert gateway.counters.total("otlp_refused", "413") == 1
        wait(lambda: gateway.gateway._intake.reading == 0)


def test_who_waits_for_a_hundred_continue_gets_it() -> None:
    with Backend() as backend, Running(backend) as gateway, socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.settimeout(5)
        head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\nexpect: 100-continue\r\n"
        s.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(ONE))
        assert s.recv(1000).startswith(b"HTTP/1.1 100 ")
        s.sendall(ONE)
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_only_who_has_a_token_may_send(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# who sends\nfirst-token-of-theirs\n\nsecond-token-of-theirs\n")
    with Backend() as backend, Running(backend, tokens_file=str(tokens)) as gateway:
        for given, status in (
            ({}, 401),
            ({"authorization": "Bearer wrong-token-of-theirs"}, 401),
            ({"authorization": "Basic first-token-of-theirs"}, 401),
            ({"authorization": "Bearer first-token-of-theirs"}, 200),
            ({"authorization": "bearer  second-token-of-theirs"}, 200),
        ):
            answer = gateway.post(ONE, **given)
            assert answer[0] == status
            assert (status == 401) == (answer[1].get("www-authenticate") == "Bearer")
        # In exchange: the new one is taken, the old one no longer, without a restart.
        tokens.write_text("third-token-of-theirs\n")
        gateway.gateway.reload()
        assert gateway.post(ONE, authorization="Bearer first-token-of-theirs")[0] == 401
        assert gateway.post(ONE, authorization="Bearer third-token-of-theirs")[0] == 200
        tokens.write_text("")
        with pytest.raises(Unusable, match="there is no token in"):
            gateway.gateway.reload()
        assert gateway.post(ONE, authorization="Bearer third-token-of-theirs")[0] == 200
        assert not any("token-of-theirs" in line for line in gateway.lines)


def test_a_stranger_is_refused_before_the_body_is_read(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("first-token-of-theirs\n")
    tokens = str(tmp_path / "tokens")
    with Running(tokens_file=tokens) as gateway, socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.settimeout(5)
        s.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 401 ")


def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.create_default_context(cafile=str(certificate))
    with Backend() as backend, Running(backend, certificate=str(certificate), key=str(key)) as gateway:
        assert gateway.post(ONE, tls=tls)[0] == 200
        with pytest.raises((ConnectionError, OSError)):
            gateway.post(ONE)
        wait(lambda: len(spans_of(backend)) == 1)


def test_a_certificate_without_its_key_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no certificate with its key"):
        Running(certificate=str(tmp_path / "no"), key=str(tmp_path / "no")).__enter__()


def test_when_the_backend_is_away_who_sends_keeps_what_does_not_fit_and_all_that_was_taken_arrives() -> None:
    back = threading.Event()

    def answer(_: Any) -> Any:
        return (200, {}, b"") if back.is_set() else (503, {"retry-after": "0"}, b"")

    taken, refused = [], 0
    with Backend(answer) as backend, Running(backend, queue_bytes=64 * 1024) as gateway:
        for number in range(1, 400):
            status, headers, _ = gateway.post(traces(*[(number * 10 + n, NOW, NOW + 1) for n in range(5)]))
            if status == 200:
                taken += [number * 10 + n for n in range(5)]
            else:
                assert (status, headers["retry-after"]) == (503, "1")
                refused += 1
        assert refused
        assert len(taken) > 100
        assert gateway.backlog.used <= 64 * 1024
        back.set()
        assert gateway.stop() == 0
        # Those of the failed attempts were not taken.
        last = max(n for n, posted in enumerate(backend.requests) if posted.path == "/v1/traces")
        ids = {int.from_bytes(span.span_id, "big") for span in spans_of(backend, last + 1)}
        assert ids == set(taken)
        assert gateway.backlog.used == 0


def test_what_a_dead_backend_leaves_is_counted_and_said_at_the_end() -> None:
    with Running(
        env={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{free_port()}/v1/traces"}, drain=0.3
    ) as gateway:
        assert gateway.post(ONE)[0] == 200
        assert gateway.stop() == 1
        assert gateway.counters.total("dropped", "stopped") == 1
        assert any("it is lost" in line for line in gateway.lines)


def test_every_destination_gets_everything_and_a_dead_one_holds_up_nobody() -> None:
    env = {
        "HOPTRACE_DESTINATIONS": "second,dead",
        "HOPTRACE_DESTINATION_DEAD_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "HOPTRACE_DESTINATION_DEAD_SIGNALS": "traces",
    }
    with Backend() as backend, Backend() as second:
        env["HOPTRACE_DESTINATION_SECOND_ENDPOINT"] = second.url
        with Running(backend, env=env, queue_bytes=64 * 1024, drain=0.5) as gateway:
            for number in range(1, 301):
                body = traces(*[(number * 10 + n, NOW, NOW + 1) for n in range(5)])
                wait(lambda body=body: gateway.post(body)[0] == 200)
            wait(lambda: len(spans_of(backend)) == len(spans_of(second)) == 1500)
            assert gateway.stop() == 0
            lost = gateway.counters.total("destination_dropped")
            assert gateway.counters.total("destination_dropped", "dead: queue_full") > 500
            assert lost == 1500, "what waits for the dead one at the end is lost too, and counted"
            assert gateway.counters.total("dropped") == 0


def test_what_a_dead_backend_leaves_is_spooled_and_sent_by_the_next_process(tmp_path: Path) -> None:
    spool = str(tmp_path / "spool")
    dead = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{free_port()}/v1/traces"}
    with Running(env=dead, drain=0.2, spool=spool) as gateway:
        for number in range(1, 6):
            assert gateway.post(traces((number, NOW, NOW + 1)))[0] == 200
        assert gateway.stop() == 0
    [kept] = list((tmp_path / "spool").iterdir())
    (tmp_path / "spool" / "1-1-traces.hoptrace").write_bytes(b"torn" + kept.read_bytes()[4:-3])
    with Backend() as backend, Running(backend, spool=spool) as gateway:
        wait(lambda: len(spans_of(backend)) == 5)
        assert sorted(span.span_id[-1] for span in spans_of(backend)) == [1, 2, 3, 4, 5]
        assert [path.name for path in (tmp_path / "spool").iterdir()] == ["1-1-traces.hoptrace.unreadable"]
        assert any("is not what was written there" in line for line in gateway.lines)


def test_a_spool_that_cannot_be_written_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match=r"HOPTRACE_GATEWAY_SPOOL=.* cannot be written to"):
        Running(spool=str(tmp_path / "file" / "in")).__enter__()


def test_stopping_under_load_loses_nothing_that_was_taken() -> None:
    taken: list[int] = []
    with Backend() as backend, Running(backend) as gateway:
        stopping = threading.Event()

        def send(first: int) -> None:
            number = first
            while not stopping.is_set():
                number += 1
                try:
                    if gateway.post(traces((number, NOW, NOW + 1)))[0] == 200:
                        taken.append(number)
                except OSError:
                    return
                except Exception:  # the connection ended without an answer
                    return

        threads = [threading.Thread(target=send, args=(n * 1_000_000,)) for n in range(1, 5)]
        for thread in threads:
            thread.start()
        wait(lambda: len(taken) > 50)
        assert gateway.stop() == 0
        stopping.set()
        for thread in threads:
            thread.join()
        arrived = {int.from_bytes(span.span_id, "big") for span in spans_of(backend)}
        assert set(taken) <= arrived


def test_a_connection_too_many_is_told_to_come_later() -> None:
    with Backend() as backend, Running(backend, connections=3) as gateway:
        held = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(3)]
        wait(lambda: gateway.gateway._door.connections == 3)
        with socket.create_connection(("127.0.0.1", gateway.port)) as one_more:
            one_more.settimeout(5)
            assert one_more.recv(1000).startswith(b"HTTP/1.1 503 ")
        for each in held:
            each.close()
        wait(lambda: gateway.gateway._door.connections == 0)
        assert gateway.post(ONE)[0] == 200
        assert gateway.counters.total("otlp_refused", "connections") == 1


def test_who_sends_a_byte_now_and_then_is_not_waited_for() -> None:
    with Backend() as backend, Running(backend, request_timeout=0.3, idle_timeout=0.3) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port)) as slow_head:
            slow_head.settimeout(5)
            slow_head.sendall(b"POST /v1/tra")
            assert slow_head.recv(100) == b"", "a head that does not end"
        with socket.create_connection(("127.0.0.1", gateway.port)) as slow_body:
            slow_body.settimeout(5)
            slow_body.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nab")
            assert slow_body.recv(100).startswith(b"HTTP/1.1 408 ")
        wait(lambda: gateway.gateway._door.connections == 0)
        assert gateway.gateway._intake.reading == 0


def test_what_is_no_http_is_a_number_and_not_a_line_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with Running() as gateway:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", gateway.port)) as s:
                s.settimeout(5)
                s.sendall(b"POST /v1/traces HTTP/9.9.9\r\nauthorization: Bearer a-secret-of-theirs\r\n\r\n")
                assert s.recv(1000).startswith(b"HTTP/1.1 400 ") or s.recv(1000) == b""
        assert gateway.counters.total("otlp_refused", "400") == 20
    assert "secret" not in capfd.readouterr().err + "".join(gateway.lines)


def test_bodies_under_way_are_bounded_together() -> None:
    with Backend() as backend, Running(backend, queue_bytes=100_000, request_timeout=5.0) as gateway:
        head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 80000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", gateway.port)) as first:
            first.sendall(head + b"x" * 70_000)
            wait(lambda: gateway.gateway._intake.reading == 70_000)
            with socket.create_connection(("127.0.0.1", gateway.port)) as second:
                second.settimeout(5)
                second.sendall(head)
                assert second.recv(100).startswith(b"HTTP/1.1 503 ")
        wait(lambda: gateway.gateway._intake.reading == 0)


def test_the_peak_of_each_function_and_of_the_account_arrives_as_metrics() -> None:
    clock = [NOW + 30 * SECOND]
    with (
        Backend() as backend,
        Running(backend, now=lambda: clock[0], lateness=60.0, limits=((("", ""), 10),)) as gateway,
    ):
        minute = NOW - NOW % (60 * SECOND)
        spans = [(n, NOW + n * SECOND, NOW + 10 * SECOND) for n in range(5)]
        assert gateway.post(traces(*spans))[0] == 200
        assert gateway.post(traces(*spans))[0] == 200, "sent again, for want of an answer"
        assert gateway.post(traces((9, NOW, NOW + 20 * SECOND), name="billing", kind=5))[0] == 200
        assert gateway.post(traces((10, NOW, NOW + 20 * SECOND), name="billing", kind=3))[0] == 200, "no invocation"
        clock[0] = minute + 119 * SECOND
        gateway.tick()
        assert not gauges(backend)
        clock[0] = minute + 120 * SECOND
        gateway.tick()
        wait(lambda: gauges(backend))
        found = gauges(backend)
        assert [each[:2] for each in found["hoptrace.function.concurrency.max", "shipping"]] == [
            (minute + 60 * SECOND, 5)
        ]
        assert [each[1] for each in found["hoptrace.function.concurrency.max", "billing"]] == [1]
        [(_, value, told)] = found["hoptrace.account.concurrency.max", ""]
        assert value == 6
        assert told == {"cloud.account.id": "123456789012", "cloud.region": "eu-west-1"}
        assert found["hoptrace.account.concurrency.utilization", ""][0][1] == 0.6
        assert gateway.counters.total("invocations", "in_time") == 11


def test_health_and_its_own_metrics_have_an_endpoint() -> None:
    with Backend() as backend, Running(backend) as gateway:
        assert gateway.get("/healthz") == (200, "ok\n")
        assert gateway.get("/readyz") == (200, "ok\n")
        assert gateway.post(ONE)[0] == 200
        gateway.post(b"\xff")
        wait(lambda: 'hoptrace_collector_sent_total{signal="traces"} 1' in gateway.get("/metrics")[1])
        page = gateway.get("/metrics")[1].splitlines()
        assert 'hoptrace_collector_received_total{signal="traces"} 1' in page
        assert 'hoptrace_collector_otlp_refused_total{reason="400"} 1' in page
        assert 'hoptrace_queue_limit{signal="logs"} 67108864' in page
        assert gateway.get("/elsewhere")[0] == 404


def test_its_own_numbers_are_exported_as_well() -> None:
    with Backend() as backend, Running(backend) as gateway:
        gateway.post(ONE)
        assert gateway.stop() == 0
        bodies = b"".join(unpacked(posted) for posted in backend.requests if posted.path == "/v1/metrics")
        assert b"hoptrace.collector.received" in bodies
        assert b"hoptrace-gateway" in bodies


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from(["application/x-protobuf", "application/json"]), st.booleans())
def test_whatever_is_sent_the_next_one_is_answered(shared: Running, body: bytes, kind: str, packed: bool) -> None:
    encoding = {"content_encoding": "gzip"} if packed else {}
    assert shared.post(body, content_type=kind, **encoding)[0] in (200, 400)
    assert shared.gateway._intake.reading == 0


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200))
def test_what_is_no_http_ends_its_own_connection_only(shared: Running, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port)) as s:
        s.sendall(data)
    assert shared.post(ONE)[0] == 200


@pytest.fixture(scope="module")
def shared() -> Any:
    with Backend() as backend, Running(backend) as gateway:
        yield gateway
        assert not gateway.counters.total("errors")
