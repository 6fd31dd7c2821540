"""What the golden events of streams, tables, buckets, brokers and logs must be read as."""

from scenarios import PRODUCER, SECOND

KINESIS, TABLE, BUCKET, FIREHOSE, LOGS, KAFKA = (
    "aws.kinesis",
    "aws.dynamodb",
    "aws.s3",
    "aws.firehose",
    "aws.logs",
    "kafka",
)

EXPECTED = {
    "recorded/kinesis.json": (
        "kinesis",
        "pubsub",
        None,
        [(PRODUCER, "traceparent", [KINESIS]), (SECOND, "traceparent", [KINESIS]), (None, "", [KINESIS])],
    ),
    # Put with a context, then updated and removed by calls that carry none.
    "recorded/dynamodb.json": (
        "dynamodb",
        "datasource",
        None,
        [(PRODUCER, "traceparent", [TABLE]), (None, "", [TABLE]), (None, "", [TABLE])],
    ),
    "recorded/s3.json": ("s3", "datasource", None, [(None, "", [BUCKET])]),
    "recorded/firehose.json": ("firehose", "pubsub", None, [(PRODUCER, "traceparent", [FIREHOSE])]),
    "recorded/cloudwatch_logs.json": ("cloudwatch_logs", "pubsub", None, [(None, "", [LOGS])]),
    "sam/dynamodb-update.json": ("dynamodb", "datasource", None, [(None, "", [TABLE])] * 3),
    "sam/kinesis-get-records.json": ("kinesis", "pubsub", None, [(None, "", [KINESIS])]),
    "sam/kinesis-kinesis-firehose.json": ("firehose", "pubsub", None, [(None, "", [FIREHOSE])]),
    "sam/kinesis-cloudwatch-logs-processor.json": ("firehose", "pubsub", None, [(None, "", [FIREHOSE])] * 4),
    # The samples' times are of 1970: no time that can be meant, so no hop.
    "sam/s3-put.json": ("s3", "datasource", None, [(None, "", [])]),
    "sam/s3-delete.json": ("s3", "datasource", None, [(None, "", [])]),
    "sam/cloudwatch-logs.json": ("cloudwatch_logs", "pubsub", None, [(None, "", [LOGS])]),
    "documented/firehose_from_kinesis.json": ("firehose", "pubsub", None, [(None, "", [KINESIS, FIREHOSE])] * 2),
    "documented/kafka_msk.json": ("kafka", "pubsub", None, [(None, "", [KAFKA])]),
    "documented/kafka_self_managed.json": ("kafka", "pubsub", None, [(None, "", [KAFKA])]),
    "documented/mq_active.json": ("mq", "pubsub", None, [(None, "", ["activemq"])] * 2),
    "documented/mq_rabbit.json": ("mq", "pubsub", None, [(None, "", [])]),
}
