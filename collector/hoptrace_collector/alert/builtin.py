"""The rules that are there without anybody's writing them. docs/alerts.md is written from this table.

Each is laid out as a user would write it, so that any setting of it can be changed, and beside it where its limit
comes from.
"""

from typing import Any

__all__ = ["BUILTIN", "LIMITS"]

BUILTIN: dict[str, dict[str, Any]] = {
    # One invocation.
    "error": {
        "summary": "an invocation failed",
        "when": 'failed and outcome != "timeout" and not out_of_memory',
        "resolve": "not failed",
        "by": ["error.type"],
    },
    "timeout": {
        "summary": "an invocation ran into its timeout",
        "when": 'outcome == "timeout"',
        "resolve": "not failed",
    },
    "out-of-memory": {
        "summary": "an invocation ran out of memory",
        "when": "out_of_memory",
        "resolve": "not failed",
        "severity": "critical",
    },
    "slow-cold-start": {
        "summary": "a cold start took long",
        "where": "coldstart",
        "when": "init_duration > limit",
        "limit": "5s",
        "window": "5m",
        "scope": "invocation",
        "severity": "warning",
    },
    "slow": {
        "summary": "an invocation took longer than its limit",
        "when": "duration > limit",
        "limit": "10s",
        "severity": "warning",
        "off": True,
    },
    "near-timeout": {
        "summary": "an invocation came near its timeout",
        "where": "not failed",
        "when": "timeout_share >= limit",
        "limit": "90%",
        "severity": "warning",
    },
    "near-api-timeout": {
        "summary": "an invocation came near what API Gateway waits for",
        "where": 'trigger in ["api_gateway_rest", "api_gateway_http"]',
        "when": "duration >= limit",
        "limit": "26s",
        "severity": "warning",
    },
    "memory": {
        "of": "report",
        "summary": "an invocation used most of its memory",
        "when": "memory_utilization >= limit",
        "limit": "90%",
        "severity": "warning",
    },
    "message-age": {
        "summary": "a message waited long before it was processed",
        "where": "has(hoptrace.message.age)",
        "when": "hoptrace.message.age > limit",
        "limit": "15m",
        "severity": "warning",
    },
    "iterator-age": {
        "summary": "a stream's records are old, and may expire before they are processed",
        "where": "has(hoptrace.iterator.age)",
        "when": "hoptrace.iterator.age >= limit",
        "limit": "24h",
    },
    "batch-item-failures": {
        "summary": "records of a batch failed",
        "where": "has(hoptrace.batch.record_count) or has(hoptrace.batch.item_failures)",
        "when": "hoptrace.batch.item_failures > 0",
    },
    "dead-letter": {
        "of": "span",
        "summary": "a dead letter arrived",
        "when": "has(hoptrace.sqs.dead_letter_source) or has(hoptrace.origin.error_code) "
        'or hoptrace.origin.condition in ["RetriesExhausted", "EventAgeExceeded"]',
        "window": "5m",
        "scope": "invocation",
        "by": ["messaging.destination.name"],
    },
    "recursion": {
        "summary": "a chain of invocations comes back to the same function",
        "when": "recursion >= limit",
        "limit": 8,
        "severity": "critical",
    },
    "operation-denied": {
        "of": "denial",
        "summary": "the policy does not allow an operation",
        "when": 'mode in ["observe", "block"]',
        "window": "5m",
        "scope": "invocation",
        "severity": "warning",
        "by": ["operation"],
    },
    # One execution environment.
    "throttled": {
        "of": "span",
        "summary": "AWS throttled calls of the function",
        "where": "has(hoptrace.aws.throttle_count)",
        "when": "sum(hoptrace.aws.throttle_count) >= limit",
        "limit": 10,
        "window": "1m",
        "severity": "warning",
    },
    "telemetry-dropped": {
        "of": "metric",
        "summary": "spans, metrics or logs were lost",
        "where": 'name in ["hoptrace.collector.dropped", "hoptrace.collector.metrics_dropped", '
        '"hoptrace.collector.logs_dropped"] and not reason == "snapshot"',
        "when": "sum(value) > limit",
        "limit": 0,
        "window": "5m",
        "severity": "warning",
    },
    # All environments together.
    "error-rate": {
        "scope": "fleet",
        "summary": "many invocations fail",
        "when": "rate(failed) >= limit",
        "limit": "10%",
        "minimum": 20,
        "window": "5m",
        "by": ["function"],
    },
    "cold-start-rate": {
        "scope": "fleet",
        "summary": "many invocations are cold starts",
        "when": "rate(coldstart) >= limit",
        "limit": "20%",
        "minimum": 20,
        "window": "5m",
        "severity": "warning",
        "by": ["function"],
    },
    "concurrency": {
        "scope": "fleet",
        "of": "metric",
        "summary": "the account's concurrency comes near its limit",
        "where": 'name == "hoptrace.account.concurrency.utilization"',
        "when": "max(value) >= limit",
        "limit": "80%",
        "window": "1m",
        "severity": "critical",
    },
    "provisioned-spillover": {
        "scope": "fleet",
        "summary": "provisioned concurrency was not enough",
        "when": 'count(initialization_type == "provisioned-concurrency") > 0 '
        'and count(initialization_type == "on-demand") > limit',
        "limit": 0,
        "window": "5m",
        "severity": "warning",
        "by": ["function", "version"],
    },
}  # fmt: skip

# Where each limit comes from.
LIMITS: dict[str, str] = {
    "slow-cold-start": "yours: set `limit`; by what Lambda or the tracer says of the initialisation",
    "slow": "yours: set `limit`, and `off = false`",
    "near-timeout": "a share of the function's own timeout, as the invocation's deadline shows it",
    "near-api-timeout": "API Gateway's integration timeout: 29 s of a REST API, unless raised, and 30 s of an HTTP API",
    "memory": "a share of the function's own memory, as Lambda reports both after each invocation",
    "message-age": "yours: below the queue's retention, and your patience",
    "iterator-age": "a stream keeps records for 24 hours unless told to keep them longer",
    "recursion": "Lambda stops a chain at about 16 invocations; the count is that of the trace header's `Lineage`",
    "throttled": "yours: how often AWS may throttle a call in a minute",
    "telemetry-dropped": "none is to be lost",
    "error-rate": "yours",
    "cold-start-rate": "yours",
    "concurrency": "a share of the account's limit (`HOPTRACE_CONCURRENCY_LIMIT`)",
    "provisioned-spillover": "the provisioned concurrency: beyond it environments start on demand",
}
