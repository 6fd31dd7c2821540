"""Spans as a text that is the same for every run of the same thing: what can be written down and compared.

It has every span but the environments' initializations: its function, name and kind, what it hangs on, what it links
to, and how it ended; no times and no ids. Spans of one trace stand under one heading. What is linked to has a number,
and where two ends meet that no context travelled between has a letter, so that a link to another span is another text.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from string import ascii_lowercase

from hoptrace_local.otlp import Link, Span
from hoptrace_local.report.waterfall import POINTER, is_hop, is_init

TRIGGER = "hoptrace.trigger"
GAP = "   "
# What is said of a span beside its kind, when it has it: attribute, and how it reads.
NOTES = (
    ("hoptrace.invocation.attempt", "attempt {}"),
    ("hoptrace.sqs.receive_count", "receive {}"),
    ("messaging.batch.message_count", "batch of {}"),
    ("hoptrace.batch.item_failures", "{} items failed"),
)

Key = tuple[str, str]


def outline(spans: Iterable[Span], functions: Sequence[str] = ()) -> list[str]:
    """Write the spans down, as lines.

    Args:
        spans: any number, in any order.
        functions: who comes first where nothing else says it; the others follow by name.
    """
    told = {(span.trace_id, span.span_id): span for span in spans if not is_init(span)}
    graph = _Graph(told, functions)
    width = max((len(span.service) for span in told.values()), default=0)
    rows: list[tuple[str, str, str]] = []
    for number, roots in enumerate(graph.traces(), 1):
        if number > 1:
            rows.append(("", "", ""))
        rows.append((f"trace {number}", "", ""))
        for root in roots:
            rows += graph.rows(root, "", "")
    tree = max((len(row[1]) for row in rows), default=0)
    return [f"{service:<{width}}{GAP}{name:<{tree}}{GAP}{what}".rstrip() for service, name, what in rows]


def invocations(lines: Iterable[str]) -> Counter[str]:
    """Answer how often an outline has each function invoked."""
    found: Counter[str] = Counter()
    for line in lines:
        if GAP in line and line.rpartition(GAP)[2].startswith("server"):
            found[line.split()[0]] += 1
    return found


class _Graph:
    """The spans, in an order that follows from what they say and not from when they came."""

    def __init__(self, spans: dict[Key, Span], functions: Sequence[str]) -> None:
        self._spans = spans
        self._rank = {name: f"{rank:03d}" for rank, name in enumerate(functions)}
        self._children: dict[Key, list[Key]] = defaultdict(list)
        self._roots: dict[str, list[Key]] = defaultdict(list)
        for key, span in spans.items():
            parent = (span.trace_id, span.parent_id)
            if parent in spans:
                self._children[parent].append(key)
            else:
                self._roots[span.trace_id].append(key)
        self._order = self._ordered()
        self._numbers: dict[Key, str] = {}
        self._letters: dict[Key, str] = {}
        self._name_targets()

    def traces(self) -> list[list[Key]]:
        """The roots of each trace."""
        groups = [sorted(roots, key=self._order.__getitem__) for roots in self._roots.values()]
        return sorted(groups, key=lambda roots: self._order[roots[0]])

    def rows(self, key: Key, lead: str, branch: str) -> list[tuple[str, str, str]]:
        """The lines of a span and of everything below it."""
        span = self._spans[key]
        orphan = " (its parent is missing)" if span.parent_id and not branch else ""
        number = f"  #{self._numbers[key]}" if key in self._numbers else ""
        rows = [(span.service, lead + branch + span.name + orphan, _what(span) + number)]
        below = lead + ({"├ ": "│ ", "└ ": "  "}.get(branch, ""))
        children = sorted(self._children[key], key=self._order.__getitem__)
        beside = below + ("│ " if children else "")
        rows += [("", f"{beside}↪ {text}", "") for text in sorted(map(self._said, span.links))]
        for position, child in enumerate(children):
            rows += self.rows(child, below, "└ " if position == len(children) - 1 else "├ ")
        return rows

    def _said(self, link: Link) -> str:
        target = (link.trace_id, link.span_id)
        if POINTER in link.attributes:
            return f"meets at {link.attributes[POINTER]} ({self._letters[target]})"
        return f"#{self._numbers[target]}" if target in self._numbers else "a span that is missing"

    def _name_targets(self) -> None:
        targets = {(link.trace_id, link.span_id) for span in self._spans.values() for link in span.links}
        walked = [key for roots in self.traces() for root in roots for key in self._walk(root)]
        for key in walked:
            if key in targets:
                self._numbers[key] = str(len(self._numbers) + 1)
        for key in walked:
            pointers = [link for link in self._spans[key].links if POINTER in link.attributes]
            for link in sorted(pointers, key=lambda link: str(link.attributes[POINTER])):
                rounds, letter = divmod(len(self._letters), len(ascii_lowercase))
                name = f"{ascii_lowercase[letter]}{rounds or ''}"
                self._letters.setdefault((link.trace_id, link.span_id), name)

    def _walk(self, key: Key) -> list[Key]:
        found = [key]
        for child in sorted(self._children[key], key=self._order.__getitem__):
            found += self._walk(child)
        return found

    def _ordered(self) -> dict[Key, tuple[str, str, str]]:
        """A place for each span: by function and name, then by all that it is connected with.

        Spans that cannot be told apart are equal in all respects, so it does not matter which of them is first; but
        once one is, its neighbours must follow: hence one is marked, and everything is asked again.
        """
        marks: dict[Key, int] = {}
        while True:
            colors = self._colors(marks)
            same = Counter(colors.values())
            tied = sorted(color for color, count in same.items() if count > 1)
            if not tied:
                break
            marks[next(key for key, color in colors.items() if color == tied[0])] = len(marks) + 1
        texts: dict[Key, str] = {}
        for roots in self._roots.values():
            for root in roots:
                self._texts(root, texts)
        return {key: (self._rank_of(key), texts.get(key, ""), colors[key]) for key in self._spans}

    def _rank_of(self, key: Key) -> str:
        service = self._spans[key].service
        return self._rank.get(service, "999" + service)

    def _texts(self, key: Key, texts: dict[Key, str]) -> None:
        """A text of each span and what is below it; of two alike, what failed is first, since it is tried again."""
        span = self._spans[key]
        for child in self._children[key]:
            self._texts(child, texts)
        below = sorted(self._rank_of(child) + texts[child] for child in self._children[key])
        texts[key] = "\n".join([f"{span.name} {0 if span.failed else 1} {_what(span)}", *below])

    def _colors(self, marks: dict[Key, int]) -> dict[Key, str]:
        colors = {
            key: _digest(span.service, span.name, _what(span), str(bool(span.parent_id)), str(marks.get(key, 0)))
            for key, span in self._spans.items()
        }
        pointers: dict[Key, list[Key]] = defaultdict(list)
        linkers: dict[Key, list[Key]] = defaultdict(list)
        for key, span in self._spans.items():
            for link in span.links:
                known = (link.trace_id, link.span_id)
                (pointers if POINTER in link.attributes else linkers)[known].append(key)
        kinds = 0
        while kinds != (kinds := len(set(colors.values()))):
            traces: dict[str, list[str]] = defaultdict(list)
            for key, color in colors.items():
                traces[key[0]].append(color)
            meetings = {at: _digest(*sorted(colors[key] for key in keys)) for at, keys in pointers.items()}
            before, colors = colors, {}
            for key, span in self._spans.items():
                linked = [(link.trace_id, link.span_id) for link in span.links]
                colors[key] = _digest(
                    before[key],
                    before.get((span.trace_id, span.parent_id), ""),
                    *sorted(before[child] for child in self._children[key]),
                    "links",
                    *sorted(before.get(at, meetings.get(at, "")) for at in linked),
                    "linked by",
                    *sorted(before[other] for other in linkers[key]),
                    "in",
                    *sorted(traces[key[0]]),
                )
        return colors


def _what(span: Span) -> str:
    """Kind, notes and how it ended."""
    kind = "hop" if is_hop(span) else span.kind.lower()
    woken = [f"by {span.attributes[TRIGGER]}"] if TRIGGER in span.attributes else []
    failure = [f"✗ {span.attributes.get('error.type') or 'failed'}"] if span.failed else []
    counts = [text.format(span.attributes[name]) for name, text in NOTES if _worth_saying(name, span)]
    return ", ".join([kind, *woken, *failure, *counts])


def _worth_saying(name: str, span: Span) -> bool:
    """Whether the span has it, and other than in the plainest case: the first attempt, one message."""
    value = span.attributes.get(name)
    return value is not None and value != 1


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
