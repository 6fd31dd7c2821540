"""The records file is bounded: what is lost beyond the bound is counted, and only open spans make room."""

import json
from pathlib import Path

from hoptrace import encode
from hoptrace.send import Outbox
from hoptrace.spans import Span
from hoptrace.spans.context import SpanContext


def _span(number: int) -> Span:
    span = Span("work", 1, SpanContext("ab" * 16, f"{number:016x}"), "", 1, "r1")
    return span


def test_spans_beyond_the_bound_are_counted_and_open_ones_never_take_the_place_of_ended_ones(tmp_path: Path) -> None:
    outbox = Outbox(str(tmp_path), max_bytes=20_000)
    begun = ended = 0
    for number in range(1, 201):
        span = _span(number)
        before = (tmp_path / "records.jsonl").stat().st_size
        outbox.note(encode.start_record(span))
        begun += (tmp_path / "records.jsonl").stat().st_size > before
        span.end(2)
        ended += outbox.write(encode.span_record(span))
    assert 0 < begun < ended < 200
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    size = (tmp_path / "records.jsonl").stat().st_size
    assert size <= 20_000
    last_start = max(place for place, line in enumerate(lines) if line["type"] == "start")
    assert sum(len(json.dumps(line)) for line in lines[: last_start + 1]) <= 12_000, "about half of it at most"
    assert outbox.dropped == {"file_full": 200 - ended}
    outbox.close()


def test_a_start_tells_what_the_ended_span_tells_of_the_same_moment(tmp_path: Path) -> None:
    span = _span(1)
    span.set_attributes({"url.full": 'http://x/"quoted"\n', "list": ["a", 1], "ü": 1.5})
    span.add_link(SpanContext("cd" * 16, "12" * 8), {"a": "b"})
    span.parent_id = "34" * 8
    span.context.trace_state = "a=b"
    span.scope = ("orders", "1.2")
    span.resource = {"team": "blue"}
    start = json.loads(encode.start_record(span))
    whole = json.loads(encode.span_record(span))
    assert start.pop("type") == "start"
    assert whole.pop("type") == "span"
    assert start == whole
