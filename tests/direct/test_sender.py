"""What is sent again, what is lost and counted, and what another process may take over."""

import json
import os
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hoptrace import encode
from hoptrace.direct.post import Post, seconds_to_wait
from hoptrace.direct.sender import Sender, budget
from hoptrace.direct.settings import Target, read
from hoptrace.direct.spool import Spool
from hoptrace.settings import Settings
from hoptrace.spans import start_span
from tests.direct.support import backend, free_port


def line(name="work"):
    span = start_span(name, root=True)
    span.end()
    return encode.span_record(span)


def target(endpoint, **more):
    return read({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **more})[0]


class Desk:
    """A spool and its sender."""

    def __init__(self, folder, endpoint, *, keep=True, max_bytes=8 << 20, **more):
        self.spool = Spool(str(folder), max_bytes, keep=keep)
        self.sender = Sender(self.spool, target(endpoint, **more), Settings({}), adopts=keep)

    def invocation(self, *names, wait=True):
        self.spool.follow()
        for name in names:
            self.spool.write(line(name))
        self.spool.confess()
        self.sender.flush(0, wait=wait)


def names(found):
    """The spans of each request that a backend was sent."""
    requests = []
    for _, body in found.bodies:
        message = ExportTraceServiceRequest()
        message.ParseFromString(body)
        requests.append([s.name for r in message.resource_spans for scope in r.scope_spans for s in scope.spans])
    return requests


def test_the_budget_is_the_least_of_all_limits_and_a_share_of_what_remains():
    usual = target("http://h")
    assert budget(usual, 0, 1000.0) == 2.0
    assert budget(usual, 1_010_000, 1000.0) == 2.0
    assert budget(usual, 1_001_000, 1000.0) == pytest.approx(0.7)
    assert budget(usual, 1_000_100, 1000.0) < 0
    assert budget(target("http://h", OTEL_EXPORTER_OTLP_TIMEOUT="300"), 0, 1000.0) == 0.3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_be_tried_again_is_within_the_budget(status, tmp_path):
    with backend(lambda number: (status if number == 1 else 200, {}, 0.0)) as found:
        Desk(tmp_path, found.endpoint).invocation("a")
        assert names(found) == [["a"], ["a"]]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 501])
def test_what_is_refused_for_good_is_counted_said_once_and_not_sent_again(status, tmp_path, capfd):
    with backend(lambda _: (status, {}, 0.0)) as found:
        desk = Desk(tmp_path, found.endpoint)
        desk.invocation("a", "b")
        desk.invocation("c")
        assert names(found) == [["a", "b"], ["c"]]
    assert sum(desk.sender.dropped.values()) == 3
    (said,) = capfd.readouterr().err.splitlines()
    assert f"2 spans lost: refused, {found.endpoint} answered HTTP {status}" in said


def test_a_wait_that_the_backend_asks_for_and_the_budget_has_not_is_kept_to(tmp_path, capfd):
    with backend(lambda _: (503, {"Retry-After": "60"}, 0.0)) as found:
        desk = Desk(tmp_path, found.endpoint)
        before = time.monotonic()
        desk.invocation("a")
        assert time.monotonic() - before < 1.0
        desk.invocation("b")
        assert names(found) == [["a"]]
        assert 50 < desk.sender._not_before - time.time() <= 60
    assert "HTTP 503" in capfd.readouterr().err


def test_a_batch_that_is_too_large_is_halved_until_it_fits_or_is_one_span(tmp_path, capfd):
    def answer(number):
        message = ExportTraceServiceRequest()
        message.ParseFromString(found.bodies[number - 1][1])
        return (413 if len(message.resource_spans[0].scope_spans[0].spans) > 1 else 200), {}, 0.0

    with backend(answer) as found:
        desk = Desk(tmp_path, found.endpoint)
        desk.invocation("a", "b", "c")
        assert [one for one in names(found) if len(one) == 1] == [["a"], ["b"], ["c"]]
    with backend(lambda _: (413, {}, 0.0)) as found:
        desk = Desk(tmp_path / "other", found.endpoint)
        desk.invocation("a", "b")
    assert sum(desk.sender.dropped.values()) == 2
    assert "too large" in capfd.readouterr().err


def test_spans_that_a_backend_rejects_of_a_success_are_counted_and_not_sent_again(tmp_path, capfd):
    body = bytes([0x0A, 0x07, 0x08, 0x02, 0x12, 0x03]) + b"why"
    with backend(lambda _: (200, {}, 0.0), body) as found:
        desk = Desk(tmp_path, found.endpoint)
        desk.invocation("a", "b", "c")
        assert len(found.bodies) == 1
    assert desk.sender.dropped == {"rejected by the backend (why)": 2}
    assert "2 spans lost: rejected by the backend (why)" in capfd.readouterr().err


def test_a_server_that_answers_a_byte_at_a_time_costs_the_budget_and_no_more(tmp_path, capfd):
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip():
        connection, _ = listener.accept()
        with connection:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
                if stop.wait(0.05):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        desk = Desk(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}", HOPTRACE_FLUSH_TIMEOUT="500")
        before = time.monotonic()
        desk.invocation("a")
        assert 0.4 < time.monotonic() - before < 0.8
        desk.sender._thread.join(2)
        assert not desk.sender._thread.is_alive()
    finally:
        stop.set()
        thread.join()
        listener.close()
    assert "no answer within 0.5 s" in capfd.readouterr().err
    assert desk.sender._failures == 1


def test_more_than_the_bound_is_dropped_counted_and_said_when_there_is_room(tmp_path, capfd):
    port = free_port()
    desk = Desk(tmp_path, f"http://127.0.0.1:{port}", max_bytes=4000, HOPTRACE_FLUSH_TIMEOUT="100")
    for number in range(40):
        desk.invocation(f"span {number}")
    files = list(tmp_path.glob("direct-*"))
    assert sum(path.stat().st_size for path in files) <= 4000
    lost = sum(desk.spool.dropped.values())
    assert lost > 10
    desk.sender._not_before = 0.0
    with backend(lambda _: (200, {}, 0.0)) as found:
        desk.sender._target.port = found.port
        desk.invocation("a")
        desk.invocation("b")
        desk.invocation("c")
        sent = [name for request in names(found) for name in request]
    assert sent[0] == "span 0"
    assert len(sent) == len(set(sent))
    assert desk.sender.dropped["file_full"] >= lost
    err = capfd.readouterr().err
    assert "records lost: file_full" in err


def test_what_was_sent_is_not_sent_again_and_a_long_file_is_followed_by_a_new_one(tmp_path):
    with backend(lambda _: (200, {}, 0.0)) as found:
        desk = Desk(tmp_path, found.endpoint)
        big = "x" * 3000
        for number in range(20):
            desk.invocation(*(f"{number} {part} {big}" for part in range(25)))
        sent = [name for request in names(found) for name in request]
        files = list(tmp_path.glob("direct-*"))
    assert len(sent) == 500
    assert len(set(sent)) == 500
    assert len(files) <= 2
    assert sum(path.stat().st_size for path in files) < 3 << 20


def test_a_dead_process_file_is_taken_over_and_a_living_ones_left_alone(tmp_path):
    living = Spool(str(tmp_path), 8 << 20, keep=True)
    living.write(line("theirs"))
    child = os.fork()
    if not child:
        dead = Spool(str(tmp_path), 8 << 20, keep=True)
        dead.write(line("left"))
        dead.write(line("torn")[:20])
        os._exit(0)
    os.waitpid(child, 0)
    reader, writer = os.pipe()
    with backend(lambda _: (200, {}, 0.0)) as found:
        child = os.fork()
        if not child:
            try:
                Desk(tmp_path, found.endpoint).invocation("mine")
                os.write(writer, b"1")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        assert os.read(reader, 1) == b"1"
        os.close(reader)
        assert names(found) == [["left"], ["mine"]]
    living.close()
    assert len([path for path in tmp_path.glob("direct-*") if path.stat().st_size]) == 2


def test_a_leftover_goes_on_where_it_was_sent_to(tmp_path):
    first, second = line("sent"), line("not yet")
    (tmp_path / f"direct-0123456789ab.{len(first)}.jsonl").write_bytes(first + second)
    with backend(lambda _: (200, {}, 0.0)) as found:
        Desk(tmp_path, found.endpoint).invocation("mine")
        assert names(found) == [["not yet"], ["mine"]]


def test_leftovers_over_the_bound_are_removed_the_oldest_first_and_counted(tmp_path, capfd):
    for number in range(5):
        path = tmp_path / f"direct-00000000000{number}.0.jsonl"
        path.write_bytes(line(f"old {number}") + b"x" * 1000 + b"\n")
        os.utime(path, (number, number))
    with backend(lambda _: (200, {}, 0.0)) as found:
        desk = Desk(tmp_path, found.endpoint, max_bytes=3000)
        desk.invocation("mine")
        assert names(found) == [["old 3"], ["old 4"], ["mine"]]
    assert desk.sender.dropped == {"left behind": 3}
    assert "3 files lost: left behind" in capfd.readouterr().err


def test_files_that_are_none_of_ours_are_not_touched(tmp_path):
    for name in ("direct-x.jsonl", "direct-0.txt", "records.jsonl", "direct-1.99999999999999999999.jsonl"):
        (tmp_path / name).write_text("theirs")
    (tmp_path / "direct-link.0.jsonl").symlink_to(tmp_path / "records.jsonl")
    os.mkfifo(tmp_path / "direct-pipe.0.jsonl")
    with backend(lambda _: (200, {}, 0.0)) as found:
        Desk(tmp_path, found.endpoint).invocation("mine")
        assert names(found) == [["mine"]]
    assert (tmp_path / "records.jsonl").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 7


def test_a_folder_that_the_user_wipes_costs_nothing(tmp_path):
    with backend(lambda _: (200, {}, 0.0)) as found:
        desk = Desk(tmp_path, found.endpoint)
        desk.invocation("a")
        for path in tmp_path.iterdir():
            path.unlink()
        desk.invocation("b")
        desk.invocation("c")
        assert names(found) == [["a"], ["b"], ["c"]]


def test_a_forked_child_that_serves_invocations_sends_its_own_and_not_its_parents(tmp_path):
    with backend(lambda _: (200, {}, 0.0)) as found:
        desk = Desk(tmp_path, found.endpoint)
        desk.spool.write(line("parent's"))
        child = os.fork()
        if not child:
            try:
                desk.invocation("child's")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert names(found) == [["child's"]]
        desk.invocation()
        assert names(found) == [["child's"], ["parent's"]]


def test_a_name_that_cannot_be_looked_up_is_a_failure_to_try_again(tmp_path, capfd):
    desk = Desk(tmp_path, "http://nowhere.invalid:4318", HOPTRACE_FLUSH_TIMEOUT="1000")
    desk.invocation("a")
    assert "spans cannot be sent to http://nowhere.invalid:4318" in capfd.readouterr().err
    assert desk.sender.dropped == {}


def test_https_is_verified_against_the_certificate_that_is_set(tmp_path, capfd):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with backend(lambda _: (200, {}, 0.0), tls=context) as found:
        Desk(tmp_path / "a", found.endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate)).invocation("a")
        assert names(found) == [["a"]]
        assert capfd.readouterr().err == ""
        Desk(tmp_path / "b", found.endpoint).invocation("b")
        assert names(found) == [["a"]]
        assert "CERTIFICATE_VERIFY_FAILED" in capfd.readouterr().err


def test_a_certificate_that_cannot_be_read_is_a_failure_and_no_error_of_the_function(tmp_path, capfd):
    certificate = str(tmp_path / "none.pem")
    desk = Desk(tmp_path, f"https://127.0.0.1:{free_port()}", OTEL_EXPORTER_OTLP_CERTIFICATE=certificate)
    desk.invocation("a")
    assert "spans cannot be sent" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("5", 5), ("99999999999", 3600), ("-1", 0), ("soon", 0), ("Thu, 01 Jan 1970 00:00:40 GMT", 30)],
)
def test_a_wait_is_read_as_seconds_or_as_a_date(text, seconds):
    assert seconds_to_wait(text, 10.0) == seconds


def test_a_record_that_is_none_is_passed_over(tmp_path):
    with backend(lambda _: (200, {}, 0.0)) as found:
        desk = Desk(tmp_path, found.endpoint)
        for odd in (b"\n", b"[]\n", b"{\n", b'{"type":"span"}\n', b'{"type":"new","span":{}}\n', b"\xff\n"):
            desk.spool.write(odd)
        desk.invocation("a")
        assert names(found) == [["a"]]


def test_the_target_of_a_post_has_its_own_agent_unless_the_user_names_one(tmp_path):
    made = Target()
    assert Post(made)._target is made
    with backend(lambda _: (200, {}, 0.0)) as found:
        Desk(tmp_path, found.endpoint).invocation("a")
        Desk(tmp_path / "b", found.endpoint, OTEL_EXPORTER_OTLP_HEADERS="user-agent=mine").invocation("b")
        assert [headers["user-agent"].partition("/")[0] for headers, _ in found.bodies] == ["hoptrace", "mine"]


def test_the_spool_is_the_users_alone(tmp_path: Path):
    Spool(str(tmp_path / "run"), 1 << 20, keep=True).write(line())
    (path,) = (tmp_path / "run").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text())["type"] == "span"
