"""What botocore is calling: one row for each service or operation of which more is to be told than its name.

Rows name request and response fields by OpenTelemetry's conventions for the AWS SDK, messaging, FaaS and databases.
Fields are chosen, never everything: no body, payload, attribute value, item or secret has a row. Services are named as
in `boto3.client(…)`; one without a row gets what every AWS call has.
"""

from importlib import import_module

from .row import Row, Service

__all__ = ["SERVICES", "row_of", "service"]

SERVICES: dict[str, tuple[str, str]] = {
    "sqs": ("messaging", "SQS"),
    "sns": ("messaging", "SNS"),
    "events": ("messaging", "EVENTBRIDGE"),
    "kinesis": ("streams", "KINESIS"),
    "lambda": ("functions", "LAMBDA"),
    "dynamodb": ("dynamodb", "DYNAMODB"),
    "firehose": ("streams", "FIREHOSE"),
    "iot-data": ("streams", "IOT_DATA"),
    "s3": ("storage", "S3"),
    "stepfunctions": ("step_functions", "STEP_FUNCTIONS"),
    "secretsmanager": ("guarded", "SECRETS_MANAGER"),
    "ssm": ("guarded", "SSM"),
    "kms": ("guarded", "KMS"),
    "sts": ("guarded", "STS"),
    "bedrock-runtime": ("bedrock", "BEDROCK_RUNTIME"),
    "bedrock-agent-runtime": ("bedrock", "BEDROCK_AGENT_RUNTIME"),
}
"""The table, by botocore's service name: the module here that has the service's rows, and their name in it."""

_NOTHING = Service(other=Row())
_loaded: dict[str, Service] = {}


def service(name: str) -> Service:
    """The service's rows, imported by its first call; an empty entry where the table has none."""
    found = _loaded.get(name)
    if found is None:
        place = SERVICES.get(name)
        found = _NOTHING if place is None else getattr(import_module(f"{__name__}.{place[0]}"), place[1])
        _loaded[name] = found
    return found


def row_of(name: str, operation: str) -> tuple[Service, Row]:
    """The service's entry and the operation's row; empty ones where the table has none."""
    entry = service(name)
    return entry, entry.rows.get(operation, entry.other)
