"""The rows of the services that carry a user's data and nothing beside it: Kinesis, Firehose, IoT Data.

They follow the "Messaging" conventions, whose values for their systems are written like the newer of AWS's. A context
can only go into the data itself, so it does when that was asked for.
"""

from . import destinations
from .fields import EACH, Field, count, length, name, text
from .row import RECEIVE, SEND, Row, Service, later

_COUNT = "messaging.batch.message_count"
_ID = "messaging.message.id"

_STREAM = (
    Field("aws.kinesis.stream_name", name, "StreamARN"),
    Field("aws.kinesis.stream_name", text, "StreamName"),
)

KINESIS = Service(
    system="aws.kinesis",
    other=Row(request=_STREAM),
    rows={
        "PutRecord": Row(
            verb=SEND,
            destination=destinations.stream,
            request=_STREAM,
            response=(Field(_ID, text, "SequenceNumber"),),
            inject=later("inject_data", "kinesis_record"),
            opt_in=True,
            pointers=later("pointers", "kinesis_record"),
            always_points=True,
        ),
        "PutRecords": Row(
            verb=SEND,
            destination=destinations.stream,
            request=(*_STREAM, Field(_COUNT, count, "Records", EACH)),
            inject=later("inject_data", "kinesis_batch"),
            opt_in=True,
            pointers=later("pointers", "kinesis_batch"),
            always_points=True,
            failed=("Records", EACH, "ErrorCode"),
        ),
        "GetRecords": Row(
            verb=RECEIVE,
            destination=destinations.stream,
            request=_STREAM,
            response=(Field(_COUNT, length, "Records"),),
        ),
    },
)

FIREHOSE = Service(
    system="aws.firehose",
    other=Row(),
    rows={
        "PutRecord": Row(
            verb=SEND,
            destination=destinations.delivery,
            response=(Field(_ID, text, "RecordId"),),
            inject=later("inject_data", "firehose_record"),
            opt_in=True,
        ),
        "PutRecordBatch": Row(
            verb=SEND,
            destination=destinations.delivery,
            request=(Field(_COUNT, count, "Records", EACH),),
            inject=later("inject_data", "firehose_batch"),
            opt_in=True,
            failed=("RequestResponses", EACH, "ErrorCode"),
        ),
    },
)

# A topic's name may hold a device's, or a person's: it names no span.
IOT_DATA = Service(
    system="aws.iot",
    other=Row(),
    rows={"Publish": Row(verb=SEND, inject=later("inject_data", "iot_message"), opt_in=True)},
)
