"""Invoking another Lambda function, by the "FaaS" conventions' outgoing invocations.

A file because `FunctionName` is three things: a name, a partial ARN (`123456789012:function:name`) or a whole one, each
with or without a version or alias at its end.
"""

from . import inject
from .fields import Field, text
from .row import Params, Row, Service


def invoked(_operation: str, params: Params, region: str) -> dict[str, object]:
    """`faas.invoked_name`, `.invoked_provider` and `.invoked_region` (the ARN's, or else the client's)."""
    given = params.get("FunctionName")
    if not isinstance(given, str):
        return {}
    parts = given.split(":")
    name = parts[parts.index("function") + 1] if "function" in parts[:-1] else parts[0]
    if parts[0] == "arn" and len(parts) > 3:
        region = parts[3]
    return {"faas.invoked_name": name, "faas.invoked_provider": "aws", "faas.invoked_region": region}


_MAPPING = Field("aws.lambda.resource_mapping.id", text, "UUID")

LAMBDA = Service(
    other=Row(request=(_MAPPING,), response=(_MAPPING,)),
    rows={
        "Invoke": Row(extra=invoked, inject=inject.lambda_invoke, failed=("FunctionError",)),
        "InvokeAsync": Row(extra=invoked),
        "InvokeWithResponseStream": Row(extra=invoked, inject=inject.lambda_invoke),
    },
)
