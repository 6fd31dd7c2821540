"""The waterfall: one line a span, a bar where it lies in the trace's time.

A hop (the time that an event spent in a queue, topic, bus or gateway) is drawn with a light bar, work with a full one,
so that waiting is seen to be waiting. A cold start has a snowflake, a failure a cross, a timeout an hourglass.
"""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.text import Text

from hoptrace_local.otlp import Span
from hoptrace_local.report.tree import Row, arrange

WORK, HOP, INIT = "█", "░", "▒"
COLD, FAILED, TIMED_OUT = "❄", "✗", "⧖"
COLORS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
POINTER = "hoptrace.pointer"
TIMEOUT_TYPES = frozenset({"timeout"})
LEGEND = (
    f"{WORK} work   {HOP} waiting in a queue, topic, bus or gateway   {INIT} initialization\n"
    f"{COLD} cold start   {FAILED} failed   {TIMED_OUT} timed out   ↪ linked"
)


def is_hop(span: Span) -> bool:
    """Whether the span is time that an event spent between two functions."""
    return span.attributes.get("hoptrace.hop") is True


def is_init(span: Span) -> bool:
    """Whether the span is an environment's initialization."""
    return span.attributes.get("hoptrace.init") is True


def is_invocation(span: Span) -> bool:
    """Whether the span is one invocation of a function: the only ones that carry a request id."""
    return "faas.invocation_id" in span.attributes and span.kind in {"SERVER", "CONSUMER"} and not is_hop(span)


def is_cold(span: Span) -> bool:
    """Whether the span is the first invocation of an on-demand environment."""
    return span.attributes.get("faas.coldstart") is True


def is_timeout(span: Span) -> bool:
    """Whether the span was closed because its function ran out of time."""
    return span.failed and str(span.attributes.get("error.type", "")).lower() in TIMEOUT_TYPES


def duration(nanoseconds: int) -> str:
    """Write a duration with three digits or so: 870µs, 12.3ms, 1.24s."""
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1e3:.0f}µs"
    if nanoseconds < 100_000_000:
        return f"{nanoseconds / 1e6:.1f}ms"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1e6:.0f}ms"
    return f"{nanoseconds / 1e9:.2f}s"


def waterfall(spans: Iterable[Span], width: int = 120, others: Iterable[Span] = ()) -> list[Text]:
    """Draw the spans of one trace.

    Args:
        spans: any number, in any order.
        width: columns of the terminal; less than 60 are taken as 60.
        others: spans of other traces, for the names of what is linked to.

    Returns:
        One line for each span, each at most `width` columns; a link stands in a line of its own under its span.
    """
    width = max(width, 60)
    rows = arrange(spans)
    if not rows:
        return [Text("no spans")]
    begin = min(row.span.start for row in rows)
    total = max(max(row.span.end for row in rows) - begin, 1)
    names = {span.span_id: f"{span.service} {span.name} of trace {span.trace_id}" for span in others}
    names |= {row.span.span_id: f"{row.span.service} {row.span.name}" for row in rows}
    colors = _colors(rows)
    service_width = max(cell_len(row.span.service) for row in rows)
    tree_width = min(max(cell_len(_tree(row)) for row in rows), max(width - service_width - 40, 24))
    bar_width = max(width - service_width - tree_width - 12, 10)
    lines = []
    for row in rows:
        span = row.span
        line = Text(no_wrap=True, overflow="crop")
        line.append(_fit(span.service, service_width) + " ", colors[span.service])
        line.append(_fit(_tree(row), tree_width) + " ", _style(span))
        line.append(f"{duration(span.duration):>7} ", "dim" if is_hop(span) else "")
        line.append(_bar(span, begin, total, bar_width), _style(span) or colors[span.service])
        lines.append(line)
        lines += _link_lines(row, names, service_width + 1, width)
    return lines


def _tree(row: Row) -> str:
    lines = "".join("│ " if more else "  " for more in row.open_levels)
    branch = "" if row.depth == 0 else "└ " if row.last else "├ "
    marks = "".join(
        mark
        for mark, holds in (
            (COLD, is_cold(row.span)),
            (TIMED_OUT, is_timeout(row.span)),
            (FAILED, row.span.failed and not is_timeout(row.span)),
        )
        if holds
    )
    name = f"{row.span.name} (its parent is missing)" if row.orphan else row.span.name
    return lines + branch + (f"{marks} " if marks else "") + name


def _link_lines(row: Row, names: dict[str, str], indent: int, width: int) -> list[Text]:
    lines = []
    lead = " " * indent + "".join("│ " if more else "  " for more in row.open_levels) + ("" if row.last else "│ ")
    for link in row.span.links:
        met = f"where both ends meet ({link.attributes[POINTER]})" if POINTER in link.attributes else ""
        target = names.get(link.span_id) or met or f"span {link.span_id} of trace {link.trace_id}"
        lines.append(Text(_cut(f"{lead}  ↪ linked to {target}", width), "dim", no_wrap=True, overflow="crop"))
    return lines


def _bar(span: Span, begin: int, total: int, width: int) -> str:
    first = min(max(int((span.start - begin) * width / total), 0), width - 1)
    last = min(max(int(-((begin - span.end) * width // total)), first + 1), width)
    fill = HOP if is_hop(span) else INIT if is_init(span) else WORK
    return " " * first + fill * (last - first)


def _style(span: Span) -> str:
    if span.failed:
        return "red"
    return "dim" if is_hop(span) else ""


def _colors(rows: Sequence[Row]) -> dict[str, str]:
    services = list(dict.fromkeys(row.span.service for row in rows))
    return {service: COLORS[number % len(COLORS)] for number, service in enumerate(services)}


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    while cell_len(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _fit(text: str, width: int) -> str:
    text = _cut(text, width)
    return text + " " * (width - cell_len(text))
