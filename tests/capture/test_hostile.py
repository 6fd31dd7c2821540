"""Objects that do their worst: nothing of theirs is run, nothing is raised, nothing is changed or consumed."""

import collections
import datetime as dt
import decimal
import enum
import io
import json
import threading
import uuid

import pytest

import hoptrace
from hoptrace import capture, testing


def refuse(*_, **__):
    raise AssertionError("the user's code was run")


NAMES = """
    __getattribute__ __getattr__ __iter__ __len__ __getitem__ __contains__ __str__ __repr__ __bytes__ __bool__ __hash__
    __eq__ __int__ __float__ __index__ __format__ keys items values get encode decode __next__ __lt__ __missing__
    __dir__ __reduce_ex__ isoformat bit_length
""".split()  # noqa: SIM905  thirty names


def hostile(base, *arguments):
    """An object of a subclass whose every method refuses."""
    body = {name: refuse for name in NAMES if hasattr(base, name) or base in (dict, list)}
    kind = type("Hostile", (base,), {})
    made = kind(*arguments)
    for name in body:
        setattr(kind, name, refuse)
    return made


class Meta(type):
    armed = False

    def __getattribute__(cls, name):
        if type.__getattribute__(Meta, "armed"):
            refuse()
        return type.__getattribute__(cls, name)


class WithMeta(metaclass=Meta):
    pass


class Level(enum.IntEnum):
    LOW = 1


class Color(str, enum.Enum):  # noqa: UP042  as people write it
    RED = "red"


def told(value):
    with testing.recorder({"HOPTRACE_CAPTURE": "event,response"}):
        return capture.written(value)[0]


CASES = [
    (lambda: hostile(dict, {"a": 1}), '{"a":1}'),
    (lambda: hostile(list, [1, 2]), "[1,2]"),
    (lambda: hostile(tuple, (1, 2)), "[1,2]"),
    (lambda: [hostile(str, "text")], '["text"]'),
    (lambda: [hostile(int, 7)], "[7]"),
    (lambda: [hostile(float, 7.5)], "[7.5]"),
    (lambda: [hostile(bytes, b"text")], '["text"]'),
    (lambda: [hostile(bytearray, b"text")], '["text"]'),
    (lambda: {"key": hostile(object)}, '{"key":"<Hostile>"}'),
    (lambda: [hostile(collections.OrderedDict, {"a": 1})], '[{"a":1}]'),
    (lambda: [hostile(Exception, "x")], '["<Hostile>"]'),
    (lambda: [Level.LOW, Color.RED], '[1,"red"]'),
    (lambda: [10**400, -(10**5000)], '["<int>","<int>"]'),
    (lambda: [float("nan"), float("-inf"), 1e300, -0.0], '["nan","-inf",1e+300,-0.0]'),
    (
        lambda: {2: 2, None: 3, True: 4, 1.5: 5, (1,): 6, b"k": 7},
        '{"2":2,"None":3,"True":4,"1.5":5,"<tuple>":6,"k":7}',
    ),
    (lambda: [dt.datetime(2026, 1, 2, 3, 4, 5), dt.date(2026, 1, 2)], '["2026-01-02T03:04:05","2026-01-02"]'),
    (lambda: [decimal.Decimal("1.50"), uuid.UUID(int=1)], '["1.50","00000000-0000-0000-0000-000000000001"]'),
    (
        lambda: [io.BytesIO(b"x"), iter([1]), (n for n in [1]), {1}],
        '["<BytesIO>","<list_iterator>","<generator>","<set>"]',
    ),
    (lambda: [range(3), memoryview(b"x"), len], '["<range>","<memoryview>","<builtin_function_or_method>"]'),
    (lambda: ["\ud800 \x00 \u2028"], '["? \\u0000 \u2028"]'),
    (object, '"<object>"'),
    (lambda: [b"\xff\x00" * 8, b""], '["<binary, 16 bytes>",""]'),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_nothing_of_theirs_is_run(case):
    make, text = CASES[case]
    assert told(make()) == text


def test_a_class_whose_own_class_refuses_is_told_by_its_name():
    value = WithMeta()
    Meta.armed = True
    try:
        assert told([value]) == '["<WithMeta>"]'
    finally:
        Meta.armed = False


def test_a_time_zone_of_theirs_is_not_asked():
    class Zone(dt.tzinfo):
        utcoffset = dst = tzname = refuse

    assert told([dt.datetime(2026, 1, 2, tzinfo=Zone())]) == '["2026-01-02T00:00:00"]'


def test_what_holds_itself_ends():
    value = {"a": []}
    value["a"].append(value)
    assert told(value).count("{") == 5


def test_an_object_that_changes_meanwhile_is_told_as_far_as_it_was():
    value = dict.fromkeys(range(50_000), "x")
    stop = threading.Event()

    def change():
        place = 50_000
        while not stop.is_set():
            value[place] = "y"
            del value[place]
            place += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            json.loads(told(value))
    finally:
        stop.set()
        thread.join()


def test_event_and_result_are_the_very_objects_and_unchanged():
    event = {"a": [1, {"password": "hunter2"}], "s": io.BytesIO(b"stream")}
    result = {"b": (n for n in range(3)), "token": "x"}
    before = repr(event)

    @hoptrace.trace
    def handler(got, context):
        assert got is event
        return result

    with testing.recorder({"HOPTRACE_CAPTURE": "event,response"}) as recorder:
        assert hoptrace.trace(handler.__wrapped__)(event, testing.LambdaContext()) is result
        attributes = recorder.ended()[-1]["attributes"]
    assert repr(event) == before
    assert list(result["b"]) == [0, 1, 2]
    assert event["s"].read() == b"stream"
    assert attributes["hoptrace.event"] == '{"a":[1,{"password":"REDACTED"}],"s":"<BytesIO>"}'
    assert attributes["hoptrace.response"] == '{"b":"<generator>","token":"REDACTED"}'


def test_a_failure_of_ours_is_told_as_redacted_and_not_raised(monkeypatch):
    with testing.recorder({"HOPTRACE_CAPTURE": "event,response"}) as recorder:
        from hoptrace import guard

        guard.LOUD = False
        monkeypatch.setattr(capture, "redaction", refuse)

        @hoptrace.trace
        def handler(event, context):
            hoptrace.current_span().set_attribute("user", "text")
            return 5

        assert handler({"a": 1}, testing.LambdaContext()) == 5
        attributes = recorder.ended()[-1]["attributes"]
    assert "hoptrace.event" not in attributes
    assert attributes["user"] == "REDACTED"


def test_a_body_that_does_its_worst_is_looked_at_by_nothing_of_its_own():
    from hoptrace.spans import start_span

    class Pretender:
        @property
        def __class__(self):
            refuse()

    with testing.recorder({"HOPTRACE_CAPTURE": "http"}):
        told_ = []
        for body in (hostile(dict, {"a": 1}), hostile(bytes, b"text"), hostile(list), Pretender(), hostile(object)):
            span = start_span("POST")
            capture.record_body(span, "body", "http://example.com/", body)
            told_.append(span.attributes.get("body"))
    assert told_ == ['{"a":1}', "text", None, None, None]
