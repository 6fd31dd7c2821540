"""The rows of S3, by OpenTelemetry's conventions for its client.

What makes or removes an object points at its request's id: the notification that comes of it has the same.
"""

from .fields import Field, number, text
from .row import Inject, Row, Service, later

_REQUEST = (
    Field("aws.s3.bucket", text, "Bucket"),
    Field("aws.s3.key", text, "Key"),
    Field("aws.s3.copy_source", text, "CopySource"),
    Field("aws.s3.upload_id", text, "UploadId"),
    Field("aws.s3.part_number", number, "PartNumber"),
)
_RESPONSE = (Field("aws.s3.upload_id", text, "UploadId"),)


def _writes(inject: Inject | None = None, points: bool = True) -> Row:
    return Row(
        request=_REQUEST,
        response=_RESPONSE,
        inject=inject,
        opt_in=True,
        pointers=later("pointers", "s3") if points else None,
        always_points=True,
    )


_READS = Row(request=_REQUEST, response=_RESPONSE, brings=later("inject_data", "s3_writer"))

S3 = Service(
    other=Row(request=_REQUEST, response=_RESPONSE),
    rows={
        "PutObject": _writes(later("inject_data", "s3_object")),
        "CopyObject": _writes(later("inject_data", "s3_copy")),
        # The object is there, and its notification sent, when the upload is complete; its metadata come at the start.
        "CreateMultipartUpload": _writes(later("inject_data", "s3_object"), points=False),
        "CompleteMultipartUpload": _writes(),
        "DeleteObject": _writes(),
        "DeleteObjects": _writes(),
        "GetObject": _READS,
        "HeadObject": _READS,
    },
)
