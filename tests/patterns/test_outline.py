"""The outline: the same text for every run of the same thing, and another one for anything else."""

import random
from dataclasses import replace

import pytest

from hoptrace_local.otlp import Link, Span
from hoptrace_local.report.outline import invocations, outline

IDS = iter(range(1, 10_000))


def ids() -> str:
    return f"{next(IDS):016x}"


def span(trace: str, name: str, parent: Span | None = None, service: str = "f", **more: object) -> Span:
    made = Span(trace, ids(), parent.span_id if parent else "", name, 10, 20, resource={"faas.name": service})
    return replace(made, **more)  # type: ignore[arg-type]


def link(to: Span) -> Link:
    return Link(to.trace_id, to.span_id)


def batch() -> list[Span]:
    """Two producers that look alike, one batch that links to both, and each record's span that links back."""
    made: list[Span] = []
    whole = span("cc", "batch", service="consumer", kind="SERVER", attributes={"messaging.batch.message_count": 2})
    links = []
    for trace in ("aa", "bb"):
        root = span(trace, "send", kind="PRODUCER")
        hop = span(trace, "SQS q", root, "consumer", attributes={"hoptrace.hop": True})
        record = span(trace, "process q", hop, "consumer", kind="CONSUMER", links=(link(whole),))
        links.append(link(hop))
        made += [root, hop, record]
    return [*made, replace(whole, links=tuple(links))]


def test_what_it_says_of_a_batch() -> None:
    assert outline(batch(), ["f", "consumer"]) == [
        "trace 1",
        "f          send            producer",
        "consumer   └ SQS q         hop  #1",
        "consumer     └ process q   consumer",
        "               ↪ #3",
        "",
        "trace 2",
        "f          send            producer",
        "consumer   └ SQS q         hop  #2",
        "consumer     └ process q   consumer",
        "               ↪ #3",
        "",
        "trace 3",
        "consumer   batch           server, batch of 2  #3",
        "           ↪ #1",
        "           ↪ #2",
    ]


def test_neither_order_nor_ids_matter() -> None:
    expected = outline(batch())
    for seed in range(30):
        spans = batch()
        random.Random(seed).shuffle(spans)
        assert outline(spans) == expected


def without_a_link(spans: list[Span]) -> None:
    spans[-1] = replace(spans[-1], links=spans[-1].links[:1])


def one_link_twice(spans: list[Span]) -> None:
    spans[-1] = replace(spans[-1], links=spans[-1].links[:1] * 2)


def link_to_the_producer(spans: list[Span]) -> None:
    spans[-1] = replace(spans[-1], links=(link(spans[0]), spans[-1].links[1]))


def in_one_trace(spans: list[Span]) -> None:
    for place in (3, 4, 5):
        spans[place] = replace(spans[place], trace_id="aa")
    spans[-1] = replace(spans[-1], links=(spans[-1].links[0], link(spans[4])))


def under_the_wrong_parent(spans: list[Span]) -> None:
    spans[2] = replace(spans[2], parent_id=spans[0].span_id)


def failed(spans: list[Span]) -> None:
    spans[2] = replace(spans[2], status="ERROR", attributes={"error.type": "KeyError"})


def lost(spans: list[Span]) -> None:
    del spans[2]


def twice(spans: list[Span]) -> None:
    spans.append(replace(spans[2], span_id=ids()))


def of_another_function(spans: list[Span]) -> None:
    spans[2] = replace(spans[2], resource={"faas.name": "other"})


def without_its_parent(spans: list[Span]) -> None:
    del spans[0]


def that_links_nowhere(spans: list[Span]) -> None:
    spans[2] = replace(spans[2], links=(Link("dd", "d" * 16),))


@pytest.mark.parametrize(
    "spoil",
    [
        without_a_link,
        one_link_twice,
        link_to_the_producer,
        in_one_trace,
        under_the_wrong_parent,
        failed,
        lost,
        twice,
        of_another_function,
        without_its_parent,
        that_links_nowhere,
    ],
)
def test_anything_that_is_not_the_same_is_another_text(spoil: object) -> None:
    spans = batch()
    spoil(spans)  # type: ignore[operator]
    assert outline(spans) != outline(batch())


def test_where_both_ends_meet_without_a_context_is_told_from_where_they_do_not() -> None:
    def meeting(*places: str) -> list[str]:
        links = [(Link("ee", place * 16, {"hoptrace.pointer": "aws_sqs"}),) for place in places]
        return outline([span("aa", "write", links=links[0]), span("bb", "read", links=links[1])])

    assert meeting("1", "1") != meeting("1", "2")
    assert [line for line in meeting("1", "1") if "meets" in line] == ["    ↪ meets at aws_sqs (a)"] * 2


def test_what_failed_stands_before_what_went_well_and_attempts_in_their_order() -> None:
    root = span("aa", "invoke")
    well = span("aa", "f", root, kind="SERVER")
    bad = span("aa", "f", root, kind="SERVER", status="ERROR")
    again = replace(bad, span_id=ids(), attributes={"hoptrace.invocation.attempt": 2})
    found = outline([well, again, bad, root])
    assert [line.split("server")[1] for line in found[2:]] == [", ✗ failed", ", ✗ failed, attempt 2", ""]


def test_initializations_are_left_out() -> None:
    root = span("aa", "f", kind="SERVER")
    assert outline([root, span("aa", "init", root, attributes={"hoptrace.init": True})]) == outline([root])


def test_a_long_chain_takes_no_time() -> None:
    chain = [span("aa", "begin")]
    for _ in range(150):
        chain.append(span("aa", "again", chain[-1]))
    assert len(outline(chain)) == 152


def test_it_tells_how_often_each_function_ran() -> None:
    assert invocations(outline(batch())) == {"consumer": 1}
    assert invocations(["trace 1", "f   server   internal", "f   f   server, by sqs", ""]) == {"f": 1}
