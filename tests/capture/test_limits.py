"""A payload is recorded up to the byte, the depth and the count that the settings name, and is JSON all the same."""

import json
import sys
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace import capture, testing
from hoptrace.capture.redaction import Redaction
from hoptrace.capture.writer import Writer
from hoptrace.settings import Settings
from tests.capture.planted import documents

RULES = Redaction(Settings({}))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(max_size=10) | st.integers(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=40,
)


def written(value, room=4096, depth=10, count=100):
    writer = Writer(RULES, room, depth, count)
    return writer.document(value), writer


@settings(max_examples=3000, deadline=None)
@given(values, st.integers(0, 200))
def test_never_a_byte_more_than_the_limit_and_json_whatever_the_limit(value, room):
    text, writer = written(value, room)
    assert len(text.encode()) <= room
    if not isinstance(value, (str, bytes)):
        if room < 2:
            assert text == ""
            assert writer.truncated
        else:
            json.loads(text)


@settings(max_examples=1000, deadline=None)
@given(values, st.integers(0, 400))
def test_what_fits_is_told_whole_and_what_does_not_says_so(value, room):
    whole, everything = written(value, 1 << 16, 1000, 1000)
    text, writer = written(value, room, 1000, 1000)
    assert not everything.truncated
    if len(whole.encode()) + 2 <= room:
        assert (text, writer.truncated) == (whole, False)
    elif text != whole:
        assert writer.truncated


@settings(max_examples=1000, deadline=None)
@given(documents(), st.integers(2, 300))
def test_a_limit_does_not_tell_half_a_secret(document, room):
    value, secrets = document
    text, _ = written(value, room, 30)
    for secret in secrets:
        assert secret[:12] not in text


@settings(max_examples=500, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9999, 9999) | st.text("abc äß\\\n", max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abcdef", max_size=5), inner),
    )
)
def test_a_document_without_secrets_is_told_as_it_is(value):
    text, writer = written(value, 1 << 16, 1000, 1000)
    assert not writer.truncated
    assert (text if isinstance(value, str) else json.loads(text)) == value


@pytest.mark.parametrize("room", range(2, 60))
def test_the_last_byte_is_used(room):
    text, writer = written(["x" * 100], room)
    assert writer.truncated
    assert len(text.encode()) == room or room < 9


def test_an_object_in_an_object_is_followed_to_its_depth():
    value = "end"
    for _ in range(12):
        value = {"a": value}
    text, writer = written(value)
    assert text == '{"a":' * 10 + '"…"' + "}" * 10
    assert writer.truncated
    assert written({"a": {}}, depth=1)[0] == '{"a":{}}'


def test_a_document_in_a_text_counts_with_the_depth_around_it():
    inner = json.dumps({"c": {"d": 1}})
    assert written({"a": inner}, depth=2)[0] == json.dumps(
        {"a": '{"c":"…"}'}, separators=(",", ":"), ensure_ascii=False
    )


def test_members_are_told_up_to_their_count():
    text, writer = written({"list": list(range(200)), "object": {str(n): n for n in range(200)}}, count=3)
    assert text == '{"list":[0,1,2],"object":{"0":0,"1":1,"2":2}}'
    assert writer.truncated


def test_of_a_huge_payload_no_more_is_held_than_its_limit():
    huge = {"a": "x" * 50_000_000, "b": ["y" * 1000] * 100_000, "c": b"z" * 50_000_000}
    document = json.dumps([1] * 1_000_000)
    written(huge)
    tracemalloc.start()
    began = time.process_time()
    for value in (huge, huge["a"], huge["c"], document):
        _, writer = written(value)
        assert writer.truncated
    taken = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert taken < 1


def test_however_a_text_is_made_it_is_looked_through_in_no_time():
    for piece in (
        "password",
        "password='",
        "a@",
        "eyJ",
        "://",
        "1 ",
        "-----BEGIN PRIVATE KEY-----",
        '{"',
        "<secret ",
        "&key",
        "Bearer ",
        "%22",
        '\\"',
        'name="password"\n',
        "authorization:",
        "token = [",
        "secret",
    ):
        for text in (piece * (16_000 // len(piece)), '"' + piece * 500, "{" + piece * 500):
            began = time.process_time()
            written({"a": text}, 16_000)
            assert time.process_time() - began < 1, piece


def test_of_many_texts_only_so_much_is_looked_at():
    texts = ["[" + "x" * 100_000] * 5000
    began = time.process_time()
    _, writer = written(texts, 65_536, 10, 10_000)
    assert writer.truncated
    assert time.process_time() - began < 5


def test_the_settings_name_the_limits_and_none_is_larger_than_it_may_be():
    environ = {
        "HOPTRACE_CAPTURE": "event",
        "HOPTRACE_CAPTURE_BYTES": "100",
        "HOPTRACE_CAPTURE_DEPTH": "2",
        "HOPTRACE_CAPTURE_COUNT": "5",
    }
    with testing.recorder(environ):
        assert capture.limits() == (100, 2, 5)
    with testing.recorder({key: "99999999" for key in environ if key != "HOPTRACE_CAPTURE"}):
        assert capture.limits() == (16384, 50, 10_000)  # an attribute's own length is a limit too
    with testing.recorder():
        assert capture.limits() == (4096, 10, 100)


def test_deep_stacks_of_the_users_are_no_reason_to_fail():
    def dive(left):
        return dive(left - 1) if left else written([[[[json.dumps({"a": [1]})]]]])[0]

    assert "a" in dive(sys.getrecursionlimit() - 300)
