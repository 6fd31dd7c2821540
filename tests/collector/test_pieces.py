"""Cutting what is too large for one request."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from hoptrace_collector.export.pieces import Piece, halves, leaves, parse_request
from hoptrace_collector.otlp_request import new_request, parts_of

from .otlp_messages import messages


def signal_of(message: Any) -> str:
    return {"ExportTraceServiceRequest": "traces", "ExportMetricsServiceRequest": "metrics"}.get(
        message.DESCRIPTOR.name, "logs"
    )


def shown(signal: str, request: Any) -> list[tuple[bytes, ...]]:
    """Each leaf as it is sent: with the heads above it."""
    out = []
    for leaf in leaves(signal, request):
        alone = Piece(signal)
        alone.add(leaf)
        out.append(parse_request(signal, alone.body()).SerializeToString(deterministic=True))
    return out


@settings(max_examples=30, deadline=None)
@given(messages(), st.integers(1, 400))
def test_no_leaf_is_lost_or_changed_and_no_piece_is_larger_than_it_says(message: Any, room: int) -> None:
    signal = signal_of(message)
    pieces = [Piece(signal)]
    for leaf in leaves(signal, message):
        if pieces[-1].amount and pieces[-1].size + pieces[-1].cost(leaf) > room:
            pieces.append(Piece(signal))
        pieces[-1].add(leaf)
    assert all(len(piece.body()) <= piece.size for piece in pieces)
    assert all(piece.size <= room or piece.amount == 1 for piece in pieces if piece.amount)
    again = [leaf for piece in pieces for leaf in shown(signal, parse_request(signal, piece.body()))]
    assert again == shown(signal, message)
    assert sum(part.amount for piece in pieces for part in piece.parts()) == len(again)


@settings(max_examples=30, deadline=None)
@given(messages())
def test_halves_hold_all_of_it_and_none_is_the_whole(message: Any) -> None:
    signal = signal_of(message)
    for part in parts_of(signal, message):
        cut = halves(signal, part.data)
        assert (not cut) == (part.amount < 2)
        if cut:
            assert sum(each.amount for each in cut) == part.amount
            assert max(each.amount for each in cut) <= (part.amount + 1) // 2


@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "exponential_histogram", "summary"])
def test_a_metric_of_any_kind_keeps_what_it_is_in_every_piece(kind: str) -> None:
    request = new_request("metrics")
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m", unit="s", description="d")
    metric.metadata.add(key="k").value.string_value = "v"
    data = getattr(metric, kind)
    for number in range(3):
        data.data_points.add(time_unix_nano=number)
    if hasattr(data, "aggregation_temporality"):
        data.aggregation_temporality = 1
    (part,) = parts_of("metrics", request)
    for each in halves("metrics", part.data):
        read = new_request("metrics")
        read.resource_metrics.add().MergeFromString(each.data)
        (found,) = read.resource_metrics[0].scope_metrics[0].metrics
        assert (found.name, found.unit, found.description, found.metadata[0].key) == ("m", "s", "d", "k")
        assert getattr(getattr(found, kind), "aggregation_temporality", 1) == 1


def test_what_has_the_same_heads_has_them_once() -> None:
    request = new_request("metrics")
    for name in ("a", "b"):
        resource = request.resource_metrics.add()
        resource.resource.attributes.add(key=name).value.string_value = "v"
        for scope in ("s", "t"):
            added = resource.scope_metrics.add()
            added.scope.name = scope
            for number in range(3):
                added.metrics.add(name=f"m{number}").gauge.data_points.extend(2 * [NumberDataPoint(as_int=number)])
    piece = Piece("metrics")
    for leaf in leaves("metrics", request):
        piece.add(leaf)
    assert parse_request("metrics", piece.body()) == request
