"""Words by which the consumer of what a call wrote can be met: what AWS answers here and tells there.

`docs/propagation.md` has them for each service; the consumer's side is in `triggers`. Items of DynamoDB, which AWS does
not number, are in `dynamodb_keys`.
"""

from .destinations import stream
from .fields import EACH, values
from .row import Params

Words = list[tuple[str, ...]]


def sqs_message(_params: Params, response: object) -> Words:
    """`SendMessage`: the message's id."""
    return _ids("aws_sqs", response, ("MessageId",))


def sqs_batch(_params: Params, response: object) -> Words:
    """`SendMessageBatch`: the id of every message that was taken."""
    return _ids("aws_sqs", response, ("Successful", EACH, "MessageId"))


def sns_message(_params: Params, response: object) -> Words:
    """`Publish`: the message's id."""
    return _ids("aws.sns", response, ("MessageId",))


def sns_batch(_params: Params, response: object) -> Words:
    """`PublishBatch`: the id of every message that was taken."""
    return _ids("aws.sns", response, ("Successful", EACH, "MessageId"))


def eventbridge(_params: Params, response: object) -> Words:
    """`PutEvents`: the id of every event that was taken."""
    return _ids("aws.eventbridge", response, ("Entries", EACH, "EventId"))


def kinesis_record(params: Params, response: object) -> Words:
    """`PutRecord`: stream, shard and sequence number."""
    return _records(params, [response])


def kinesis_batch(params: Params, response: object) -> Words:
    """`PutRecords`: the same of every record that was taken."""
    return _records(params, values(response, ("Records", EACH)))


def s3(_params: Params, response: object) -> Words:
    """What makes or removes objects: the request's id, which the notification of each of them has."""
    return _ids("aws.s3", response, ("ResponseMetadata", "RequestId"))


def _ids(kind: str, response: object, path: tuple[str, ...]) -> Words:
    return [(kind, one) for one in values(response, path) if isinstance(one, str) and one]


def _records(params: Params, answers: list[object]) -> Words:
    name = stream(params)
    found = []
    for answer in answers:
        place = [one for key in ("ShardId", "SequenceNumber") for one in values(answer, (key,)) if isinstance(one, str)]
        if name and len(place) == 2:
            found.append(("aws.kinesis", name, *place))
    return found
