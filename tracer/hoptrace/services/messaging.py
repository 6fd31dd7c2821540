"""The rows of the services that carry messages: SQS, SNS, EventBridge.

Their sends are PRODUCER spans, by the "Messaging" conventions: that is where a hop begins. `messaging.system` is
`aws_sqs` and `aws.sns` as the conventions have it; they name none for EventBridge, whose value follows the newer of
both.
"""

from . import destinations, inject
from .fields import EACH, Field, arn, count, length, only, several, text
from .row import DELETE, RECEIVE, SEND, Row, Service, later

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
            pointers=later("pointers", "sqs_message"),
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
            pointers=later("pointers", "sqs_batch"),
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
            pointers=later("pointers", "sns_message"),
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
            pointers=later("pointers", "sns_batch"),
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
            pointers=later("pointers", "eventbridge"),
            failed=("Entries", EACH, "ErrorCode"),
        ),
    },
)
