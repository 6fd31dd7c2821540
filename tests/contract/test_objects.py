"""S3's metadata: who gets an object is linked to who wrote it, and a bucket's notification meets who finished it."""

from __future__ import annotations

from typing import Any

import pytest

from hoptrace.spans import Span
from hoptrace.triggers import identify
from tests.contract.data import Uploaded
from tests.contract.lab import Lab, call, in_lambda, on_the_wire, traced
from tests.contract.test_every_way import meeting
from tests.contract.ways import POINTER, Message

ASKED = {"HOPTRACE_INJECT_ENABLED": "s3"}
LIMIT = 2_048
PREFIX = len("x-amz-meta-")
OURS = PREFIX + len("traceparent") + 55


def links(span: Span) -> set[tuple[str, str]]:
    return {(link.context.trace_id, link.context.span_id) for link in span.links}


def place(span: Span) -> tuple[str, str]:
    return span.context.trace_id, span.context.span_id


@pytest.fixture(scope="module")
def bucket(lab: Lab) -> str:
    name = lab.name("objects")
    lab.aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject"])
@pytest.mark.parametrize("data", [b"", b"\x00\xff", b'{"a": 1}'])
def test_who_gets_an_object_is_linked_to_who_wrote_it(operation: str, data: bytes, bucket: str, lab: Lab) -> None:
    s3 = lab.client("s3")
    key = lab.name("key")
    with traced(ASKED) as recorder:
        put = {"Bucket": bucket, "Key": key, "Body": data, "Metadata": {"Mine": "yes"}}
        written = call(s3, "PutObject", put, recorder)
    with traced() as recorder:
        got = call(s3, operation, {"Bucket": bucket, "Key": key}, recorder)
    assert place(written.span) in links(got.span)
    assert got.answer["Metadata"].pop("traceparent")
    assert got.answer["Metadata"] == {"mine": "yes"}
    assert got.answer["ContentLength"] == len(data)


def test_an_upload_in_parts_is_linked_to_and_its_notification_meets_who_finished_it(lab: Lab) -> None:
    way = lab.way(Uploaded)
    s3 = lab.client("s3")
    key = way.key(Message(b"in parts"))
    where = {"Bucket": way.bucket, "Key": key}
    with traced(ASKED) as recorder:
        begun = call(s3, "CreateMultipartUpload", {**where, "Metadata": {"mine": "yes"}}, recorder)
        upload = {**where, "UploadId": begun.answer["UploadId"]}
        part = call(s3, "UploadPart", {**upload, "PartNumber": 1, "Body": b"in parts"}, recorder)
        parts = {"Parts": [{"ETag": part.answer["ETag"], "PartNumber": 1}]}
        done = call(s3, "CompleteMultipartUpload", {**upload, "MultipartUpload": parts}, recorder)
        got = call(s3, "HeadObject", where, recorder)
    way.told(Message(b"in parts"), done)
    (event,) = way.events(1)
    assert way.read(event) == [Message(b"in parts")]
    assert meeting(done.span, identify(event).records[0]) == POINTER
    assert place(begun.span) in links(got.span)


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "PutObject"])
@pytest.mark.parametrize(
    "more", [{"OTEL_PROPAGATORS": "none", **ASKED}, {"HOPTRACE_INJECT_DISABLED": "s3", **ASKED}, {}]
)
def test_what_nobody_asked_for_is_not_stored(operation: str, more: dict[str, str], bucket: str, lab: Lab) -> None:
    params = {"Bucket": bucket, "Key": "k", "Metadata": {"mine": "yes"}}

    def metadata(client: Any) -> dict[str, str]:
        headers = on_the_wire(client, operation, params)[2]
        return {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}

    with in_lambda():
        alone = metadata(lab.client("s3"))
    with traced(more):
        assert metadata(lab.client("s3")) == alone
    with traced(ASKED):
        assert set(metadata(lab.client("s3"))) - set(alone) == {"x-amz-meta-traceparent"}


def test_a_copy_that_keeps_its_sources_metadata_is_left_alone(bucket: str, lab: Lab) -> None:
    params = {"Bucket": bucket, "Key": "k", "CopySource": {"Bucket": bucket, "Key": "s"}}
    with in_lambda():
        alone = on_the_wire(lab.client("s3"), "CopyObject", params)
    with traced(ASKED):
        assert "x-amz-meta-traceparent" not in on_the_wire(lab.client("s3"), "CopyObject", params)[2]
    assert "x-amz-meta-traceparent" not in alone[2]


@pytest.mark.parametrize("spare", [OURS - 1, OURS, OURS + 1, 0])
def test_metadata_never_grows_over_its_two_kilobytes(spare: int, bucket: str, lab: Lab) -> None:
    value = "x" * (LIMIT - spare - PREFIX - len("mine"))
    with traced(ASKED):
        params = {"Bucket": bucket, "Key": "k", "Body": b"", "Metadata": {"mine": value}}
        headers = on_the_wire(lab.client("s3"), "PutObject", params)[2]
    sent = {name: text for name, text in headers.items() if name.startswith("x-amz-meta-")}
    assert sent["x-amz-meta-mine"] == value
    assert ("x-amz-meta-traceparent" in sent) == (spare >= OURS)
    assert sum(len(name) + len(text) for name, text in sent.items()) <= LIMIT
