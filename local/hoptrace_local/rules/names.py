"""Names that nobody knows, and what was meant by them."""

from difflib import get_close_matches

from hoptrace_collector.alert.facts import FIELDS

__all__ = ["ATTRIBUTES", "meant", "unknown"]

# What hoptrace itself puts on spans, beside the names of semantic conventions that AWS and HTTP calls have.
ATTRIBUTES = (
    "aws.lambda.alias", "aws.lambda.initialization_type", "aws.lambda.invoked_arn", "aws.lambda.resource_mapping.id",
    "aws.lambda.tenant_id", "aws.dynamodb.table_names", "aws.kinesis.stream_name",
    "aws.request_id", "aws.s3.bucket", "aws.s3.key",
    "cloud.account.id", "cloud.platform", "cloud.provider", "cloud.region", "cloud.resource_id",
    "db.collection.name", "db.operation.name", "db.system.name", "error.type",
    "faas.coldstart", "faas.document.collection", "faas.document.name", "faas.document.operation",
    "faas.instance", "faas.invocation_id", "faas.invoked_name", "faas.max_memory", "faas.name", "faas.time",
    "faas.trigger", "faas.version",
    "hoptrace.aws.retry_reasons", "hoptrace.aws.throttle_count", "hoptrace.batch.item_failures",
    "hoptrace.batch.record_count", "hoptrace.batch.untraced_records", "hoptrace.closed_by",
    "hoptrace.context.without_room", "hoptrace.eventbridge.detail_type", "hoptrace.eventbridge.replay",
    "hoptrace.eventbridge.rule", "hoptrace.eventbridge.source", "hoptrace.init", "hoptrace.invocation.attempt",
    "hoptrace.iterator.age", "hoptrace.late", "hoptrace.message.age", "hoptrace.messaging.failed_count",
    "hoptrace.origin.condition", "hoptrace.origin.error_code", "hoptrace.origin.error_message",
    "hoptrace.origin.function_arn", "hoptrace.origin.function_error", "hoptrace.origin.invocation_id",
    "hoptrace.origin.invoke_count", "hoptrace.policy.denied", "hoptrace.policy.denied_count",
    "hoptrace.record.processed", "hoptrace.record.redelivered", "hoptrace.sqs.dead_letter_source",
    "hoptrace.sqs.receive_count", "hoptrace.sqs.redriven", "hoptrace.step_functions.redrive_count",
    "hoptrace.step_functions.retry_count", "hoptrace.step_functions.state", "hoptrace.trigger",
    "http.request.method", "http.request.resend_count", "http.response.status_code", "http.route",
    "messaging.batch.message_count", "messaging.destination.name", "messaging.message.id",
    "messaging.operation.name", "messaging.operation.type", "messaging.system",
    "rpc.method", "rpc.system.name", "server.address", "server.port", "service.name",
    "url.full", "url.path", "url.query", "url.scheme", "user_agent.original",
)  # fmt: skip
# Of names that begin so, no others are anybody's but ours.
_OURS = ("hoptrace.", "faas.")


def unknown(kind: str, name: str) -> str:
    """Say what is wrong with a field that a rule of this kind asks for; nothing where it may be there."""
    fields = FIELDS[kind]
    if name in fields or name in ATTRIBUTES or name == "limit":
        return ""
    close = meant(name, (*fields, *ATTRIBUTES))
    if "." not in name:
        others = [other for other in FIELDS if name in FIELDS[other]]
        if others:
            return f'there is no {name} of {_an(kind)}, only of {_an(others[0])}: set of = "{others[0]}"'
        if kind in ("metric", "log", "span"):
            # Attributes of the user's own may have no dot there.
            return f"there is no field {name}{close}" if close else ""
        return f'there is no field {name}{close}; an attribute of that name is attr("{name}")'
    if kind in ("metric", "log"):
        return ""
    if name.startswith(_OURS):
        return f"hoptrace sets no attribute {name}{close}"
    return (
        f'there is no attribute {name} that is known{close}; if it is your own, write attr("{name}")' if close else ""
    )


def meant(name: str, known: tuple[str, ...]) -> str:
    """Return `, did you mean …?` where something known is like it."""
    close = get_close_matches(name, known, n=1, cutoff=0.8)
    return f", did you mean {close[0]}?" if close else ""


def _an(kind: str) -> str:
    return f"an {kind}" if kind == "invocation" else f"a {kind}"
