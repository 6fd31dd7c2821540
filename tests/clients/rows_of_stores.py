"""The rows of S3, DynamoDB, Firehose and IoT Data: how each is called, and the span that it must leave."""

import uuid

from hoptrace.spans import CLIENT, PRODUCER

ANY = object()
ITEM = {"id": {"S": "PRIVATE"}}


def _bucket(client):
    s3 = client("s3")
    if "stores" not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="stores", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="stores", Key="a", Body=b"PRIVATE")
    return "stores"


def _upload(client):
    s3, name = client("s3"), _bucket(client)
    upload = s3.create_multipart_upload(Bucket=name, Key="m")["UploadId"]
    tag = s3.upload_part(Bucket=name, Key="m", UploadId=upload, PartNumber=1, Body=b"PRIVATE")["ETag"]
    return {
        "Bucket": name,
        "Key": "m",
        "UploadId": upload,
        "MultipartUpload": {"Parts": [{"ETag": tag, "PartNumber": 1}]},
    }


def _table(client):
    name = f"t-{uuid.uuid4()}"
    client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def _delivery(client):
    firehose = client("firehose")
    if "audit" not in firehose.list_delivery_streams()["DeliveryStreamNames"]:
        firehose.create_delivery_stream(
            DeliveryStreamName="audit",
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::123456789012:role/r",
                "BucketARN": f"arn:aws:s3:::{_bucket(client)}",
            },
        )
    return "audit"


def _s3(operation, params, set_up=_bucket, key="a", **more):
    attributes = {"aws.s3.bucket": "stores", "aws.s3.key": key, "aws.extended_request_id": None, **more}
    attributes = {name: value for name, value in attributes.items() if value != ""}
    return ("s3", operation, set_up, operation, params, f"S3.{operation}", CLIENT, attributes)


def _dynamodb(operation, params):
    attributes = {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": operation,
        "db.collection.name": ANY,
        "aws.dynamodb.table_names": ANY,
        "aws.dynamodb.consumed_capacity": None,
    }
    return ("dynamodb", operation, _table, operation, params, f"DynamoDB.{operation}", CLIENT, attributes)


_FIREHOSE = {
    "messaging.system": "aws.firehose",
    "messaging.destination.name": "audit",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
}

CASES = [
    _s3("PutObject", lambda name: {"Bucket": name, "Key": "a", "Body": b"PRIVATE"}),
    _s3(
        "CopyObject",
        lambda name: {"Bucket": name, "Key": "b", "CopySource": f"{name}/a"},
        key="b",
        **{"aws.s3.copy_source": "stores/a"},
    ),
    _s3("CreateMultipartUpload", lambda name: {"Bucket": name, "Key": "a"}, **{"aws.s3.upload_id": ANY}),
    _s3("CompleteMultipartUpload", lambda found: found, set_up=_upload, key="m", **{"aws.s3.upload_id": ANY}),
    _s3("DeleteObject", lambda name: {"Bucket": name, "Key": "a"}),
    _s3("DeleteObjects", lambda name: {"Bucket": name, "Delete": {"Objects": [{"Key": "PRIVATE"}]}}, key=""),
    _s3("GetObject", lambda name: {"Bucket": name, "Key": "a"}),
    _s3("HeadObject", lambda name: {"Bucket": name, "Key": "a"}),
    (
        "s3",
        None,
        _bucket,
        "ListObjectsV2",
        lambda name: {"Bucket": name},
        "S3.ListObjectsV2",
        CLIENT,
        {"aws.s3.bucket": "stores", "aws.extended_request_id": None},
    ),
    _dynamodb("PutItem", lambda name: {"TableName": name, "Item": ITEM}),
    _dynamodb(
        "UpdateItem",
        lambda name: {
            "TableName": name,
            "Key": ITEM,
            "UpdateExpression": "SET v = :v",
            "ExpressionAttributeValues": {":v": {"S": "PRIVATE"}},
        },
    ),
    _dynamodb("DeleteItem", lambda name: {"TableName": name, "Key": ITEM}),
    _dynamodb("BatchWriteItem", lambda name: {"RequestItems": {name: [{"PutRequest": {"Item": ITEM}}]}}),
    _dynamodb("TransactWriteItems", lambda name: {"TransactItems": [{"Put": {"TableName": name, "Item": ITEM}}]}),
    (
        "dynamodb",
        None,
        _table,
        "GetItem",
        lambda name: {"TableName": name, "Key": ITEM},
        "DynamoDB.GetItem",
        CLIENT,
        {
            "db.system.name": "aws.dynamodb",
            "db.operation.name": "GetItem",
            "db.collection.name": ANY,
            "aws.dynamodb.table_names": ANY,
            "aws.dynamodb.consumed_capacity": None,
        },
    ),
    (
        "firehose",
        "PutRecord",
        _delivery,
        "PutRecord",
        lambda name: {"DeliveryStreamName": name, "Record": {"Data": b"PRIVATE"}},
        "send audit",
        PRODUCER,
        {**_FIREHOSE, "messaging.message.id": ANY},
    ),
    (
        "firehose",
        "PutRecordBatch",
        _delivery,
        "PutRecordBatch",
        lambda name: {"DeliveryStreamName": name, "Records": [{"Data": b"PRIVATE"}] * 2},
        "send audit",
        PRODUCER,
        {**_FIREHOSE, "messaging.batch.message_count": 2},
    ),
    (
        "firehose",
        None,
        _delivery,
        "ListDeliveryStreams",
        lambda _: {},
        "Firehose.ListDeliveryStreams",
        CLIENT,
        {},
    ),
    (
        "iot-data",
        "Publish",
        lambda _client: None,
        "Publish",
        lambda _: {"topic": "devices/PRIVATE", "payload": b"PRIVATE"},
        "send",
        PRODUCER,
        {"messaging.system": "aws.iot", "messaging.operation.name": "send", "messaging.operation.type": "send"},
    ),
    (
        "iot-data",
        None,
        lambda client: client("iot").create_thing(thingName=f"t-{uuid.uuid4()}")["thingName"],
        "UpdateThingShadow",
        lambda name: {"thingName": name, "payload": b'{"state": {"desired": {"x": "PRIVATE"}}}'},
        "IoTDataPlane.UpdateThingShadow",
        CLIENT,
        {},
    ),
]
