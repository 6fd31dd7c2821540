"""Parameters and answers of any shape, for every row of the services' table: a span each, and nothing raised."""

import decimal
from types import SimpleNamespace

from botocore.session import get_session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoptrace import testing
from hoptrace.clients.calls import Call
from hoptrace.services import SERVICES, service
from hoptrace.services.row import Row

OPERATIONS = [(name, one) for name in SERVICES for one in (*service(name).rows, "")]
OPTED_IN = {
    "HOPTRACE_INJECT_ENABLED": "kinesis,firehose,stepfunctions,s3,iot-data,dynamodb",
    "HOPTRACE_CAPTURE": "aws",
    "HOPTRACE_DYNAMODB_KEYS": "t:id",
}
# What no field names and yet is read: by what injects, captures and points.
WORDS = """
    ResponseMetadata RequestId HTTPStatusCode RetryAttempts HostId Error Code Item Key Keys Put Delete PutRequest
    DeleteRequest TableName RequestItems TransactItems Entries Records Data Detail Payload ClientContext MessageBody
    MessageAttributes MessageSystemAttributes MessageStructure Metadata MetadataDirective input output traceHeader
    userProperties payload EventBusName ShardId SequenceNumber t id S
""".split()  # noqa: SIM905  forty words


def client_of(name: str) -> SimpleNamespace:
    """What a call asks a client for; the model is botocore's own."""
    model = SESSION.get_service_model(name)
    return SimpleNamespace(
        meta=SimpleNamespace(region_name="eu-west-1", endpoint_url="https://aws.example", service_model=model)
    )


SESSION = get_session()
CLIENTS = {name: client_of(name) for name in SERVICES}


def _of(row: Row) -> set[str]:
    paths = [field.path for field in (*row.request, *row.response)] + [row.failed]
    return {step for path in paths for step in path if step not in ("[]", "{}")}


NAMES = sorted({*WORDS, *(step for name, one in OPERATIONS for step in _of(service(name).rows.get(one, Row())))})
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.binary(max_size=8),
    st.sampled_from(["arn:aws:sns:eu-west-1:1:orders", "arn:", "::", "//", "https://sqs/1/q", "function:", object()]),
    st.builds(decimal.Decimal),
)
KEYS = st.one_of(st.sampled_from(NAMES), st.none(), st.binary(max_size=2))
VALUES = st.recursive(
    JUNK, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
GIVEN = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8) | VALUES


def test_whatever_a_call_and_its_answer_hold_no_row_raises():
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(OPERATIONS), GIVEN, GIVEN, st.booleans())
    def check(operation, params, answer, well):
        with testing.recorder(OPTED_IN) as recorder:
            client = CLIENTS[operation[0]]
            name = operation[1] or client.meta.service_model.operation_names[0]
            call = Call(client, name, params)
            call.injected(params)
            if well:
                call.done(answer)
            else:
                error = RuntimeError("refused")
                error.response = answer
                call.failed(error)
            (span,) = recorder.spans
            assert span.attributes["rpc.method"] == name
            assert type(span.attributes.get("hoptrace.aws.throttle_count", 0)) is int

    check()
