"""What the golden events of envelopes in envelopes must be read as."""

from scenarios import PRODUCER, SECOND

SQS, SNS, BUS, S3, FUNCTION, STATES = (
    "aws_sqs",
    "aws.sns",
    "aws.eventbridge",
    "aws.s3",
    "aws.lambda",
    "aws.step_functions",
)

EXPECTED = {
    "recorded/s3_test_event_in_sqs.json": ("sqs", "pubsub", None, [(None, "", [SQS])]),
    "recorded/s3_in_sqs.json": ("sqs", "pubsub", None, [(None, "", [S3, SQS])]),
    "recorded/s3_in_sns_in_sqs.json": ("sqs", "pubsub", None, [(None, "", [S3, SNS, SQS])]),
    "recorded/s3_in_eventbridge.json": ("eventbridge", "pubsub", None, [(None, "", [BUS])]),
    "recorded/s3_in_eventbridge_in_sqs.json": ("sqs", "pubsub", None, [(None, "", [BUS, SQS])]),
    # In the queue that gave it up, then in the one that took it.
    "recorded/sqs_dead_letter.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [SQS, SQS])]),
    "recorded/destination.json": ("destination", "other", None, [(PRODUCER, "traceparent", [FUNCTION])]),
    "recorded/destination_of_failure.json": ("destination", "other", None, [(PRODUCER, "traceparent", [FUNCTION])]),
    "recorded/destination_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [FUNCTION, SQS])]),
    "recorded/destination_in_sns.json": ("sns", "pubsub", None, [(PRODUCER, "traceparent", [FUNCTION, SNS])]),
    "recorded/destination_in_eventbridge.json": (
        "eventbridge",
        "pubsub",
        None,
        [(PRODUCER, "traceparent", [FUNCTION, BUS])],
    ),
    "recorded/dead_letter_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [SQS])]),
    "recorded/dead_letter_in_sns.json": ("sns", "pubsub", None, [(PRODUCER, "traceparent", [SNS])]),
    "recorded/dead_letter_in_sns_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [SNS, SQS])]),
    "recorded/step_functions.json": ("step_functions", "other", None, [(PRODUCER, "traceparent", [STATES, STATES])]),
    "recorded/step_functions_merged.json": ("step_functions", "other", None, [(None, "", [STATES, STATES])]),
    "recorded/step_functions_input_only.json": ("step_functions", "other", None, [(PRODUCER, "traceparent", [STATES])]),
    "recorded/step_functions_joined.json": ("step_functions", "other", None, [(PRODUCER, "traceparent", [STATES])]),
    "recorded/eventbridge_in_step_functions.json": (
        "step_functions",
        "other",
        None,
        [(PRODUCER, "traceparent", [BUS, STATES, STATES])],
    ),
    "recorded/step_functions_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [STATES, STATES, SQS])]),
    # Only the state that came after the task that somebody ended.
    "recorded/step_functions_called_back.json": ("step_functions", "other", None, [(SECOND, "traceparent", [STATES])]),
    "documented/pipes_sqs.json": ("pipes", "pubsub", None, [(None, "", [SQS]), (None, "", [SQS])]),
    "documented/pipes_kinesis.json": ("pipes", "pubsub", None, [(None, "", ["aws.kinesis"])]),
    "documented/pipes_dynamodb.json": ("pipes", "pubsub", None, [(None, "", [])]),
    "documented/pipes_kafka.json": ("pipes", "pubsub", None, [(None, "", ["kafka"])]),
    "documented/pipes_rabbitmq.json": ("pipes", "pubsub", None, [(None, "", [])]),
    "documented/step_functions_context_object.json": ("step_functions", "other", None, [(None, "", [STATES, STATES])]),
}
