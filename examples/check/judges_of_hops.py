"""Judges of what travels: trace headers, attributes, client contexts, retries, and events on a bus."""
# ruff: noqa: D103  the question that each answers stands beside it in assumptions.py

import json
from typing import Any

from evidence import FACT, Finding, Found, fact, verdict
from gather import ODD_HEADER, ODD_ROOT, TRACEPARENT


def hop(found: Found, consumer: str) -> Any:
    item = found["hops"][consumer]
    if item is None:
        raise KeyError(consumer)
    return item


def record(item: Any) -> Any:
    return item["event"]["Records"][0]


def odd_root_in(text: str) -> bool:
    return ODD_ROOT in text


def queue_hop(found: Found) -> Finding:
    item = hop(found, "queue")
    header = record(item)["attributes"].get("AWSTraceHeader", "")
    return verdict(header == ODD_HEADER, f"AWSTraceHeader: {header or 'none'}; Lambda's own: {item['trace_header']}")


def attributes_hop(found: Found) -> Finding:
    seen = record(hop(found, "queue"))["messageAttributes"].get("traceparent", {}).get("stringValue")
    return verdict(seen == TRACEPARENT, seen)


def topic_hop(found: Found) -> Finding:
    item = hop(found, "topic")
    message = record(item)
    inside = json.loads(message["body"]).get("MessageAttributes", {}).get("traceparent", {}).get("Value")
    header = message["attributes"].get("AWSTraceHeader")
    return verdict(inside == TRACEPARENT, f"traceparent: {inside}; AWSTraceHeader: {header}; {item['trace_header']}")


def bus_hop(found: Found) -> Finding:
    item = hop(found, "bus")
    same = odd_root_in(item["trace_header"])
    return fact(f"Lambda's own header: {item['trace_header'] or 'none'}; our root in it: {same}")


def bus_queue_hop(found: Found) -> Finding:
    header = record(hop(found, "bus_queue"))["attributes"].get("AWSTraceHeader", "")
    return fact(f"AWSTraceHeader: {header or 'none'}; our root in it: {odd_root_in(header)}")


def alert(found: Found) -> Finding:
    event = hop(found, "bus")["event"]
    same = event["detail"] == found["hops"]["sent_detail"]
    return verdict(same and event["detail"]["traceparent"] == TRACEPARENT, f"detail as sent: {same}")


def invoke_header(found: Found) -> Finding:
    seen = found["context"]["with_trace_id"]["trace_header"] or ""
    return verdict(odd_root_in(seen), seen or "none")


def plain_header(found: Found) -> Finding:
    seen = found["context"]["with_nothing"]["trace_header"] or ""
    return verdict("Root=" in seen, seen or "none")


def service_w3c(found: Found) -> Finding:
    seen = {case: found["context"][case]["w3c"] for case in ("with_header", "with_trace_id", "with_nothing")}
    filled = {case: value for case, value in seen.items() if value}
    return verdict(not filled, filled or "empty without a client context of the caller's")


def client_w3c(found: Found) -> Finding:
    seen = found["context"]["with_w3c"]
    if not seen["has_w3c"]:
        return Finding(FACT, "this runtime client has no context.w3c()")
    ok = (seen["w3c"] or {}).get("traceparent") == TRACEPARENT and seen["client_context_w3c"] is None
    return verdict(ok, f"w3c(): {seen['w3c']}; in client_context: {seen['client_context_w3c']}")


def retries(found: Found) -> Finding:
    attempts = found["asynchronous"]["attempts"]
    ids = {attempt["request_id"] for attempt in attempts}
    roots = {attempt["trace_header"].partition(";")[0] for attempt in attempts}
    if len(attempts) < 2:
        raise KeyError("no retry was seen")
    return verdict(len(ids) == 1, f"{len(attempts)} attempts, {len(ids)} request ids, {len(roots)} trace roots")


def destination(found: Found) -> Finding:
    message = record(found["asynchronous"]["destination"])
    inner = json.loads(message["body"])
    header = message["attributes"].get("AWSTraceHeader")
    seen = f"source {inner['source']!r}, detail-type {inner['detail-type']!r}, AWSTraceHeader: {header}"
    return verdict(inner["source"] in ("lambda", "aws.lambda"), seen)


def schedule(found: Found) -> Finding:
    event = found["schedule"]["event"]
    shape = sorted(event) if isinstance(event, dict) else type(event).__name__
    source = event.get("source") if isinstance(event, dict) else None
    return fact(f"keys {shape}; source {source!r}")


def replay(found: Found) -> Finding:
    replay = found["replay"]
    event = replay["event"]
    kept = event["id"] in replay["original_ids"]
    return verdict(kept and "replay-name" in event, f"same id: {kept}; replay-name: {'replay-name' in event}")
