"""What botocore is calling: one row for each service or operation of which more is to be told than its name.

Rows name request and response fields by OpenTelemetry's conventions for the AWS SDK, messaging, FaaS and databases.
Fields are chosen, never everything: no body, payload, attribute value, item or secret has a row. Services are named as
in `boto3.client(…)`; one without a row gets what every AWS call has.
"""

from .bedrock import BEDROCK_AGENT_RUNTIME, BEDROCK_RUNTIME
from .dynamodb import DYNAMODB
from .functions import LAMBDA
from .guarded import KMS, SECRETS_MANAGER, SSM, STS
from .messaging import EVENTBRIDGE, SNS, SQS
from .row import Row, Service
from .step_functions import STEP_FUNCTIONS
from .storage import S3
from .streams import FIREHOSE, IOT_DATA, KINESIS

__all__ = ["SERVICES", "row_of"]

SERVICES: dict[str, Service] = {
    "sqs": SQS,
    "sns": SNS,
    "events": EVENTBRIDGE,
    "kinesis": KINESIS,
    "lambda": LAMBDA,
    "dynamodb": DYNAMODB,
    "firehose": FIREHOSE,
    "iot-data": IOT_DATA,
    "s3": S3,
    "stepfunctions": STEP_FUNCTIONS,
    "secretsmanager": SECRETS_MANAGER,
    "ssm": SSM,
    "kms": KMS,
    "sts": STS,
    "bedrock-runtime": BEDROCK_RUNTIME,
    "bedrock-agent-runtime": BEDROCK_AGENT_RUNTIME,
}
"""The table, by botocore's service name."""

_NOTHING = Service(other=Row())


def row_of(service: str, operation: str) -> tuple[Service, Row]:
    """The service's entry and the operation's row; empty ones where the table has none."""
    entry = SERVICES.get(service, _NOTHING)
    return entry, entry.rows.get(operation, entry.other)
