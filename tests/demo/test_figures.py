"""Figures by function, counted from spans."""

from hoptrace_local.report.figures import Figures, figures

from .spans import hop, invocation, make


def test_a_function_is_counted_from_its_invocation_spans_alone() -> None:
    cold = {"faas.coldstart": True}
    spans = [
        invocation("a", "shipping", 300, 400, attributes=cold),
        make("i", "shipping", "init", 0, 290, "a", attributes={"hoptrace.init": True}),
        invocation("b", "shipping", 350, 5350, attributes={"error.type": "timeout"}, status="ERROR"),
        invocation("c", "shipping", 6000, 6010, attributes={"error.type": "ValueError"}, status="ERROR"),
        hop("h", "shipping", "queue", 0, 300),
        make("d", "shipping", "DynamoDB.PutItem", 310, 320, "a", kind="CLIENT"),
        make("s", "shop", "place orders", 0, 9000),
    ]
    (row,) = figures([*spans, spans[0]])
    assert row == Figures(
        name="shipping",
        invocations=3,
        errors=1,
        timeouts=1,
        cold_starts=1,
        init_average=290_000_000,
        init_maximum=290_000_000,
        duration_average=1_703_333_333,
        duration_maximum=5_000_000_000,
        peak_concurrency=2,
    )


def test_an_environment_is_busy_while_it_starts() -> None:
    spans = [
        invocation("a", "checkout", 100, 110),
        invocation("b", "checkout", 200, 210),
        make("i", "checkout", "init", 105, 199, "b", attributes={"hoptrace.init": True}),
    ]
    (row,) = figures(spans)
    assert row.peak_concurrency == 2
