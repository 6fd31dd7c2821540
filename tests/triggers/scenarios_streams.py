"""What is written into streams, tables and buckets to make each kind of event that comes of it."""

import json
import time
from typing import Any

from real_aws import ACCOUNT, RealAws
from scenarios import PRODUCER, SECOND

from hoptrace.carriers import dynamodb as to_item
from hoptrace.carriers import firehose as to_delivery
from hoptrace.carriers import kinesis as to_stream
from hoptrace.carriers.json_data import Writer

TRUST = f"arn:aws:iam::{ACCOUNT}:role/r"


def writer() -> Writer:
    return Writer(int(time.time() * 1000))


def stream(aws: RealAws, name: str) -> str:
    """Make a stream of one shard; its ARN."""
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        told = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        if told["StreamStatus"] == "ACTIVE":
            return str(told["StreamARN"])
        time.sleep(0.1)
    raise TimeoutError(name)


def follow(aws: RealAws, source: str, function: str) -> None:
    """Let a function read a stream from its beginning."""
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=source, FunctionName=function, BatchSize=100, StartingPosition="TRIM_HORIZON", Enabled=True
    )


def kinesis(aws: RealAws) -> Any:
    """Two records of two traces, and data that is no JSON, put with one call."""
    arn = stream(aws, "clicks")
    records = [
        {"Data": b'{"click": 1.50}\n', "PartitionKey": "a"},
        {"Data": '{"click": 2}', "PartitionKey": "a"},
        {"Data": b"\xf3\x89\x9a\xc2binary", "PartitionKey": "a"},
    ]
    sent = to_stream.RECORDS.inject_each(records, lambda index: (PRODUCER, SECOND, SECOND)[index], writer())
    aws.client("kinesis").put_records(StreamName="clicks", Records=sent)
    follow(aws, arn, aws.function("kinesis"))
    return aws.event_for("kinesis")


def table(aws: RealAws, name: str, view: str = "NEW_AND_OLD_IMAGES") -> str:
    """Make a table with a stream; the stream's ARN."""
    made = aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def dynamodb(aws: RealAws) -> Any:
    """An item put with a context, changed by an update, which leaves the attribute there, and removed."""
    arn = table(aws, "orders")
    client, key = aws.client("dynamodb"), {"pk": {"S": "a"}, "sk": {"N": "1.5"}}
    item = to_item.inject({**key, "state": {"S": "new"}}, PRODUCER, int(time.time() * 1000))
    client.put_item(TableName="orders", Item=item)
    client.update_item(
        TableName="orders",
        Key=key,
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":s": {"S": "paid"}},
    )
    client.delete_item(TableName="orders", Key=key)
    follow(aws, arn, aws.function("dynamodb"))
    return aws.event_for("dynamodb")


def bucket(aws: RealAws, name: str, **notifications: Any) -> None:
    client = aws.client("s3")
    client.create_bucket(Bucket=name)
    client.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=notifications)


def s3(aws: RealAws) -> Any:
    arn = aws.function("s3")
    bucket(aws, "uploads", LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}])
    aws.client("s3").put_object(Bucket="uploads", Key="a b/ü+%41.json", Body=b"{}")
    return aws.event_for("s3")


def delivery(aws: RealAws, name: str, function: str, **source: Any) -> None:
    """Make a Firehose stream whose records a function transforms."""
    aws.client("s3").create_bucket(Bucket=f"{name}-delivered")
    parameters = [{"ParameterName": "LambdaArn", "ParameterValue": function}]
    aws.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "RoleARN": TRUST,
            "BucketARN": f"arn:aws:s3:::{name}-delivered",
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [{"Type": "Lambda", "Parameters": parameters}],
            },
        },
        **source,
    )


def _kept(event: Any) -> Any:
    return {"records": [{**record, "result": "Ok"} for record in event["records"]]}


def firehose(aws: RealAws) -> Any:
    delivery(aws, "audit", aws.function("firehose", _kept))
    records = [{"Data": b'{"a": 1}\n'}, {"Data": b"plain\n"}]
    sent = to_delivery.RECORDS.inject_each(records, lambda _: PRODUCER, writer())
    aws.client("firehose").put_record_batch(DeliveryStreamName="audit", Records=sent)
    return aws.event_for("firehose")


def cloudwatch_logs(aws: RealAws) -> Any:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/shop/orders")
    logs.create_log_stream(logGroupName="/shop/orders", logStreamName="2026/11/23")
    arn = aws.function("cloudwatch_logs")
    logs.put_subscription_filter(logGroupName="/shop/orders", filterName="errors", filterPattern="", destinationArn=arn)
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName="/shop/orders",
        logStreamName="2026/11/23",
        logEvents=[{"timestamp": now, "message": json.dumps({"n": n, "text": "ü" * 100})} for n in range(20)],
    )
    return aws.event_for("cloudwatch_logs")


SCENARIOS = (
    kinesis,
    dynamodb,
    s3,
    firehose,
    cloudwatch_logs,
)
