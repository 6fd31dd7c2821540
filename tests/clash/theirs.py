"""What the user's own tool told its own backend, with all that changes from run to run left out."""

import json
from collections.abc import Sequence
from typing import Any

from hoptrace_local import otlp

from .backend import Post


def told(row_theirs: str, asked: Any, posts: Sequence[Post], lines: Sequence[str]) -> dict[str, Any]:
    """By each of the ways that the row names."""
    ways = {
        "tell": lambda: asked["theirs"],
        "otlp": lambda: _otlp(posts),
        "sentry": lambda: _sentry(posts),
        "datadog": lambda: _datadog(lines),
        "http": lambda: [(path, body.decode()) for path, _, body in posts],
    }
    return {way: ways[way]() for way in row_theirs.split()}


def _otlp(posts: Sequence[Post]) -> list[Any]:
    spans = []
    for path, headers, body in posts:
        if path == "/v1/traces":
            spans += otlp.spans_of(otlp.parse("traces", body, as_json="json" in headers["content-type"]))
    names = {span.span_id: span.name for span in spans}
    return sorted([span.name, span.kind, str(names.get(span.parent_id)), span.status] for span in spans)


def _sentry(posts: Sequence[Post]) -> list[Any]:
    """The items of all envelopes: https://develop.sentry.dev/sdk/data-model/envelopes/."""
    found = []
    for _, _, body in posts:
        lines = body.split(b"\n")[1:]
        while len(lines) > 1:
            kind = json.loads(lines.pop(0))["type"]
            content = json.loads(lines.pop(0))
            if kind == "transaction":
                spans = [[span["op"], span.get("description")] for span in content["spans"]]
                found.append([kind, content["transaction"], content["contexts"]["trace"].get("status"), spans])
            elif kind == "event":
                values = content["exception"]["values"]
                frames = [[f["function"] for f in value["stacktrace"]["frames"]] for value in values]
                found.append([kind, content["transaction"], [value["type"] for value in values], frames])
    return sorted(found, key=repr)


def _datadog(lines: Sequence[str]) -> list[Any]:
    """Without an extension of theirs, the traces are lines of the log."""
    spans = []
    for line in lines:
        if line.startswith('{"traces"'):
            spans += [span for trace in json.loads(line)["traces"] for span in trace]
    # A span for each slow import of a cold start: ours are among them, and which are slow changes from run to run.
    spans = [span for span in spans if not span["name"].startswith("aws.lambda.import")]
    names = {span["span_id"]: span["name"] for span in spans}
    return sorted([s["name"], s["resource"], str(names.get(s["parent_id"])), s.get("error", 0)] for s in spans)
