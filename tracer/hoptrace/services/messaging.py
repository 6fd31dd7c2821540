"""The rows of the services that carry messages: SQS, SNS, EventBridge, Kinesis.

Their sends are PRODUCER spans, by the "Messaging" conventions: that is where a hop begins. `messaging.system` is
`aws_sqs` and `aws.sns` as the conventions have it; they name none for EventBridge and Kinesis, whose values follow the
newer of both.
"""

from . import destinations, inject
from .fields import EACH, Field, arn, count, length, name, only, several, text
from .row import DELETE, RECEIVE, SEND, Row, Service

_COUNT = "messaging.batch.message_count"
_ID = "messaging.message.id"
_IDS = "hoptrace.messaging.message_ids"

_QUEUE = Field("aws.sqs.queue.url", text, "QueueUrl")

SQS = Service(
    system="aws_sqs",
    other=Row(request=(_QUEUE,), response=(_QUEUE,)),
    rows={
        "SendMessage": Row(
            verb=SEND,
            destination=destinations.queue,
            request=(_QUEUE,),
            response=(Field(_ID, text, "MessageId"),),
            inject=inject.sqs_message,
        ),
        "SendMessageBatch": Row(
            verb=SEND,
            destination=destinations.queue,
            request=(_QUEUE, Field(_COUNT, count, "Entries", EACH)),
            response=(
                Field(_ID, only, "Successful", EACH, "MessageId"),
                Field(_IDS, several, "Successful", EACH, "MessageId"),
            ),
            inject=inject.sqs_batch,
            failed=("Failed", EACH, "Code"),
        ),
        "ReceiveMessage": Row(
            verb=RECEIVE,
            destination=destinations.queue,
            request=(_QUEUE,),
            response=(
                Field(_COUNT, length, "Messages"),
                Field(_ID, only, "Messages", EACH, "MessageId"),
                Field(_IDS, several, "Messages", EACH, "MessageId"),
            ),
        ),
        "DeleteMessage": Row(verb=DELETE, destination=destinations.queue, request=(_QUEUE,)),
        "DeleteMessageBatch": Row(
            verb=DELETE,
            destination=destinations.queue,
            request=(_QUEUE, Field(_COUNT, count, "Entries", EACH)),
            failed=("Failed", EACH, "Code"),
        ),
    },
)

_TOPIC = Field("aws.sns.topic.arn", arn, "TopicArn")

SNS = Service(
    system="aws.sns",
    other=Row(request=(_TOPIC,), response=(_TOPIC,)),
    rows={
        "Publish": Row(
            verb=SEND,
            destination=destinations.topic,
            request=(_TOPIC,),
            response=(Field(_ID, text, "MessageId"),),
            inject=inject.sns_message,
        ),
        "PublishBatch": Row(
            verb=SEND,
            destination=destinations.topic,
            request=(_TOPIC, Field(_COUNT, count, "PublishBatchRequestEntries", EACH)),
            response=(
                Field(_ID, only, "Successful", EACH, "MessageId"),
                Field(_IDS, several, "Successful", EACH, "MessageId"),
            ),
            inject=inject.sns_batch,
            failed=("Failed", EACH, "Code"),
        ),
    },
)

EVENTBRIDGE = Service(
    system="aws.eventbridge",
    other=Row(),
    rows={
        "PutEvents": Row(
            verb=SEND,
            destination=destinations.bus,
            request=(Field(_COUNT, count, "Entries", EACH),),
            response=(
                Field(_ID, only, "Entries", EACH, "EventId"),
                Field(_IDS, several, "Entries", EACH, "EventId"),
            ),
            inject=inject.eventbridge,
            failed=("Entries", EACH, "ErrorCode"),
        ),
    },
)

_STREAM = (
    Field("aws.kinesis.stream_name", name, "StreamARN"),
    Field("aws.kinesis.stream_name", text, "StreamName"),
)

KINESIS = Service(
    system="aws.kinesis",
    other=Row(request=_STREAM),
    rows={
        # Nothing is injected: a record has no place for a context outside its data, which is the user's.
        "PutRecord": Row(
            verb=SEND,
            destination=destinations.stream,
            request=_STREAM,
            response=(Field(_ID, text, "SequenceNumber"),),
        ),
        "PutRecords": Row(
            verb=SEND,
            destination=destinations.stream,
            request=(*_STREAM, Field(_COUNT, count, "Records", EACH)),
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
