"""An exception with what it came of and, where asked for, the variables of the user's frames; never a secret."""

import json
import sys
import textwrap

import pytest

import hoptrace
from hoptrace import testing
from hoptrace.spans import start_span


def failed(handler, environ=None, **limits):
    """The exception event's attributes, and the status."""
    with testing.recorder(environ) as recorder:
        with pytest.raises(BaseException):  # noqa: B017  whatever it is
            hoptrace.trace(handler)({}, testing.LambdaContext())
        span = recorder.ended()[-1]
    return span["events"][0]["attributes"], span["status"]


def chain(length, cause=True):
    error = ValueError("error 0")
    for number in range(1, length):
        following = ValueError(f"error {number}")
        if cause:
            following.__cause__ = error
        else:
            following.__context__ = error
        error = following
    return error


def test_the_cause_and_the_context_are_told_as_python_does():
    def handler(event, context):
        try:
            try:
                {}["a"]
            except KeyError:
                raise TypeError("second")  # noqa: B904  on purpose
        except TypeError as error:
            raise ValueError("third") from error

    stack = failed(handler)[0]["exception.stacktrace"]
    order = ["KeyError: 'a'", "During handling", "TypeError: second", "direct cause", "ValueError: third"]
    assert [stack.find(one) for one in order] == sorted(stack.find(one) for one in order)
    assert all(one in stack for one in order)


def test_what_was_suppressed_is_not_told():
    def handler(event, context):
        try:
            {}["a"]
        except KeyError:
            raise ValueError("x") from None

    assert "KeyError" not in failed(handler)[0]["exception.stacktrace"]


@pytest.mark.parametrize("cause", [True, False])
def test_of_a_long_chain_the_last_ones_are_told(cause):
    def handler(event, context):
        raise chain(1000, cause)

    stack = failed(handler)[0]["exception.stacktrace"]
    assert stack.startswith("… what came before is left out")
    assert [n for n in range(985, 1000) if f"ValueError: error {n}\n" in stack] == list(range(990, 1000))
    assert stack.count("The above exception was the direct cause") == (9 if cause else 0)


def test_a_chain_that_bites_its_tail_ends():
    def handler(event, context):
        one, other = ValueError("one"), ValueError("other")
        one.__cause__, other.__cause__ = other, one
        raise one

    assert "ValueError: one" in failed(handler)[0]["exception.stacktrace"]


def test_the_members_of_a_group_are_told():
    def handler(event, context):
        raise ExceptionGroup("all", [ValueError("first"), ExceptionGroup("inner", [TypeError("second")])])

    stack = failed(handler)[0]["exception.stacktrace"]
    assert "ValueError: first" in stack
    assert "TypeError: second" in stack


def test_of_a_large_group_the_first_are_told():
    def handler(event, context):
        raise ExceptionGroup("all", [ValueError(f"number {n}") for n in range(100_000)])

    stack = failed(handler)[0]["exception.stacktrace"]
    assert "ValueError: number 9\n" in stack
    assert "… and 99990 more" in stack


def test_groups_of_groups_of_groups_take_no_time():
    group = ValueError("x")
    for _ in range(12):
        group = ExceptionGroup("g", [group] * 40)

    def handler(event, context):
        raise group

    assert "ExceptionGroup" in failed(handler)[0]["exception.stacktrace"]


SECRET = {"HOPTRACE_REDACT": "true"}


def test_secrets_are_taken_out_of_message_stack_and_status():
    def handler(event, context):
        raise ValueError("password=hunter2, postgres://a:hunter2@b")

    told, status = failed(handler, SECRET)
    assert "hunter2" not in json.dumps([told["exception.message"], status])
    assert "hunter2" not in told["exception.stacktrace"]
    assert told["exception.message"] == "password=REDACTED, postgres://REDACTED@b"
    assert "hunter2" in failed(handler)[0]["exception.message"]  # that is for the user to ask for


def test_a_secret_at_the_edge_of_what_is_told_is_not_told_in_part():
    token = "ghp_" + "7sEcReT7" * 10

    for length in range(900, 1100, 7):

        def handler(event, context):
            raise ValueError("x" * length + " " + token)  # noqa: B023  called at once

        environ = {**SECRET, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1000"}
        told, status = failed(handler, environ)
        assert "sEcReT" not in json.dumps([told, status])
        assert all(len(value) <= 1000 for value in told.values())


def test_every_attribute_event_and_status_is_looked_at():
    def handler(event, context):
        span = hoptrace.current_span()
        span.set_attribute("a", "token=hunter2")
        span.set_attribute("db_password", "hunter2")
        span.set_attribute("list", ["Bearer hunter2", "x"])
        span.add_event("note", {"text": "pwd: hunter2", "password": "hunter2"})
        span.set_status(2, "password=hunter2")
        span.add_link(span.context, {"token": "hunter2", "text": "token=hunter2"})
        start_span("token=hunter2").end()

    with testing.recorder(SECRET) as recorder:
        hoptrace.trace(handler)({}, testing.LambdaContext())
        assert "hunter2" not in json.dumps(recorder.records)
        span = recorder.ended()[-1]
    assert span["links"][0]["attributes"] == {"token": "REDACTED", "text": "token=REDACTED"}
    assert span["attributes"]["list"] == ["Bearer REDACTED", "x"]
    assert "hoptrace.event" not in span["attributes"]


def test_a_secret_in_a_name_is_told_no_more_than_one_in_a_value():
    def handler(event, context):
        span = hoptrace.current_span()
        span.set_attribute("token=hunter2", 1)
        span.set_attribute("Authorization: Bearer hunter2", "x")
        span.set_attribute("ratio=a:b", "kept")
        span.add_event("password=hunter2", {"token=hunter2": True})
        span.add_link(span.context, {"token=hunter2": 1, "list": ["token=hunter2", 2]})

    with testing.recorder(SECRET) as recorder:
        hoptrace.trace(handler)({}, testing.LambdaContext())
        assert "hunter2" not in json.dumps(recorder.records)
        assert recorder.ended()[-1]["attributes"]["ratio=a:b"] == "kept"


LOCALS = {"HOPTRACE_CAPTURE": "locals"}


def test_the_variables_of_the_users_frames_are_told_innermost_first():
    def inner(password, order):
        total = 17
        raise ValueError(total)

    def handler(event, context):
        customer = {"name": "bob", "token": "hunter2"}
        inner("hunter2", [customer["name"]])

    told, _ = failed(handler, LOCALS)
    frames = json.loads(told["hoptrace.exception.locals"])
    assert [frame["function"].rpartition(".")[2] for frame in frames][:2] == ["inner", "handler"]
    assert frames[0]["locals"] == {"password": "REDACTED", "order": ["bob"], "total": 17}
    assert frames[1]["locals"]["customer"] == {"name": "bob", "token": "REDACTED"}
    assert frames[0]["line"] == inner.__code__.co_firstlineno + 2
    assert "hoptrace.exception.locals" not in failed(handler)[0]


def test_frames_of_libraries_and_of_modules_are_not_told(tmp_path, monkeypatch):
    (tmp_path / "users_module.py").write_text(
        textwrap.dedent("""
        import json
        secret_of_the_module = "q"
        def call():
            mine = 1
            json.loads("{")
    """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import users_module

    def handler(event, context):
        users_module.call()

    frames = json.loads(failed(handler, LOCALS)[0]["hoptrace.exception.locals"])
    assert [frame["function"].rpartition(".")[2] for frame in frames][:2] == ["call", "handler"]
    assert frames[0]["locals"] == {"mine": 1}
    sys.modules.pop("users_module")


def test_variables_are_limited_as_every_payload_is():
    def handler(event, context):
        large = "x" * 1_000_000
        raise ValueError(len(large))

    environ = {**LOCALS, "HOPTRACE_CAPTURE_BYTES": "300"}
    told = failed(handler, environ)[0]["hoptrace.exception.locals"]
    assert len(told.encode()) <= 300
    json.loads(told)


def test_a_recursion_without_end_is_told_by_its_last_frames():
    def dive(n):
        return dive(n + 1)

    def handler(event, context):
        dive(0)

    frames = json.loads(
        failed(
            handler, {**LOCALS, "HOPTRACE_CAPTURE_BYTES": "20000", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "20000"}
        )[0]["hoptrace.exception.locals"]
    )
    assert 1 <= len(frames) <= 10
