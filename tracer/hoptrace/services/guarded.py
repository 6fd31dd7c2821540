"""Services that guard something: which secret, parameter, key or role a call is about, and never what it holds.

No value, ciphertext, plaintext, encryption context, token, session's or caller's name has a field here.
"""

from .fields import Field, arn, flag, length, text, texts
from .row import Row, Service

SECRETS_MANAGER = Service(
    other=Row(
        request=(Field("aws.secretsmanager.secret.arn", arn, "SecretId"),),
        response=(Field("aws.secretsmanager.secret.arn", arn, "ARN"),),
    )
)

_NAME = Field("hoptrace.ssm.parameter.name", text, "Name")
SSM = Service(
    other=Row(),
    rows={
        "GetParameter": Row(request=(_NAME, Field("hoptrace.ssm.decrypt", flag, "WithDecryption"))),
        "GetParameters": Row(
            request=(
                Field("hoptrace.ssm.parameter.names", texts, "Names"),
                Field("hoptrace.ssm.decrypt", flag, "WithDecryption"),
            ),
            response=(Field("hoptrace.ssm.invalid_count", length, "InvalidParameters"),),
        ),
        "GetParametersByPath": Row(
            request=(
                Field("hoptrace.ssm.parameter.path", text, "Path"),
                Field("hoptrace.ssm.decrypt", flag, "WithDecryption"),
            )
        ),
        "GetParameterHistory": Row(request=(_NAME,)),
        "PutParameter": Row(request=(_NAME,)),
        "DeleteParameter": Row(request=(_NAME,)),
    },
)

KMS = Service(
    other=Row(
        request=(Field("hoptrace.kms.key_id", text, "KeyId"),),
        response=(Field("hoptrace.kms.key_id", arn, "KeyId"),),
    )
)

STS = Service(other=Row(request=(Field("hoptrace.sts.role.arn", arn, "RoleArn"),)))
