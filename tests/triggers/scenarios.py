"""What is sent to make each kind of event, by our own inject functions, and how it comes out of a real emulator."""

import time
from typing import Any

from real_aws import REGION, RealAws

from hoptrace.carriers import eventbridge as to_bus
from hoptrace.carriers import sns as to_topic
from hoptrace.carriers import sqs as to_queue
from hoptrace.spans.context import SpanContext, format_traceparent

PRODUCER = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=1", remote=True)
SECOND = SpanContext("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", 1, "", remote=True)
HEADERS = {"traceparent": format_traceparent(PRODUCER), "tracestate": PRODUCER.trace_state}


def sqs(aws: RealAws) -> Any:
    """Two messages of two traces in one batch."""
    url, arn = aws.queue("orders")
    entries = [{"Id": "a", "MessageBody": '{"order":1}'}, {"Id": "b", "MessageBody": "plain"}]
    aws.client("sqs").send_message_batch(
        QueueUrl=url, Entries=to_queue.inject_batch(entries, lambda index: (PRODUCER, SECOND)[index])
    )
    # Only now, or the poller may take the first message before the second is there.
    aws.map(arn, aws.function("sqs"))
    return aws.event_for("sqs")


def sqs_full(aws: RealAws) -> Any:
    """A message whose ten attributes are the user's own: the context travels in AWSTraceHeader."""
    url, _ = aws.queue("full", aws.function("sqs_full"))
    attributes = {f"a{n}": {"DataType": "String", "StringValue": "v"} for n in range(10)}
    entry = {"QueueUrl": url, "MessageBody": "x", "MessageAttributes": attributes}
    aws.client("sqs").send_message(**to_queue.inject_entry(entry, PRODUCER))
    return aws.event_for("sqs_full")


def sns(aws: RealAws) -> Any:
    topic = aws.topic("orders-topic")
    aws.subscribe(topic, "lambda", aws.function("sns"))
    aws.client("sns").publish(**to_topic.inject_entry({"TopicArn": topic, "Message": "hi", "Subject": "s"}, PRODUCER))
    return aws.event_for("sns")


def _sns_to_sqs(aws: RealAws, name: str, raw: bool) -> Any:
    topic = aws.topic(f"{name}-topic")
    _, arn = aws.queue(f"{name}-queue", aws.function(name))
    aws.subscribe(topic, "sqs", arn, raw=raw)
    aws.client("sns").publish(**to_topic.inject_entry({"TopicArn": topic, "Message": "hi"}, PRODUCER))
    return aws.event_for(name)


def sns_in_sqs(aws: RealAws) -> Any:
    return _sns_to_sqs(aws, "sns_in_sqs", raw=False)


def sns_raw_in_sqs(aws: RealAws) -> Any:
    return _sns_to_sqs(aws, "sns_raw_in_sqs", raw=True)


def _put(aws: RealAws, source: str) -> None:
    entry = {"Source": source, "DetailType": "OrderPlaced", "Detail": '{"order": 1}'}
    entries = to_bus.inject_batch([entry], lambda _: PRODUCER, int(time.time() * 1000))
    answer = aws.client("events").put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 0


def eventbridge(aws: RealAws) -> Any:
    aws.rule("to-function", "shop.a", aws.function("eventbridge"))
    _put(aws, "shop.a")
    return aws.event_for("eventbridge")


def eventbridge_in_sqs(aws: RealAws) -> Any:
    _, arn = aws.queue("eb-queue", aws.function("eventbridge_in_sqs"))
    aws.rule("to-queue", "shop.b", arn)
    _put(aws, "shop.b")
    return aws.event_for("eventbridge_in_sqs")


def eventbridge_in_sns(aws: RealAws) -> Any:
    topic = aws.topic("eb-topic")
    aws.subscribe(topic, "lambda", aws.function("eventbridge_in_sns"))
    aws.rule("to-topic", "shop.c", topic)
    _put(aws, "shop.c")
    return aws.event_for("eventbridge_in_sns")


def eventbridge_in_sns_in_sqs(aws: RealAws) -> Any:
    topic = aws.topic("eb-topic-2")
    _, arn = aws.queue("eb-sns-queue", aws.function("eventbridge_in_sns_in_sqs"))
    aws.subscribe(topic, "sqs", arn)
    aws.rule("to-topic-2", "shop.d", topic)
    _put(aws, "shop.d")
    return aws.event_for("eventbridge_in_sns_in_sqs")


def eventbridge_detail_only(aws: RealAws) -> Any:
    """A rule whose target gets `$.detail` alone."""
    _, arn = aws.queue("detail-queue", aws.function("eventbridge_detail_only"))
    aws.rule("detail-only", "shop.e", arn, InputPath="$.detail")
    _put(aws, "shop.e")
    return aws.event_for("eventbridge_detail_only")


def function_url(aws: RealAws) -> Any:
    aws.function("function_url")
    url = aws.client("lambda").create_function_url_config(FunctionName="function_url", AuthType="NONE")["FunctionUrl"]
    host = url.split("/")[2]
    aws.request(host, "/users/1?q=a%20b&token=t0p", headers=HEADERS)
    return aws.event_for("function_url")


def api_gateway_http(aws: RealAws) -> Any:
    arn = aws.function("api_gateway_http")
    gateway = aws.client("apigatewayv2")
    api = gateway.create_api(Name="http", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    gateway.create_route(ApiId=api, RouteKey="GET /users/{id}", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    aws.request(f"{api}.execute-api.localhost", "/users/1?q=a", headers=HEADERS)
    return aws.event_for("api_gateway_http")


def api_gateway_rest(aws: RealAws) -> Any:
    arn = aws.function("api_gateway_rest")
    gateway = aws.client("apigateway")
    api = gateway.create_rest_api(name="rest")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    users = gateway.create_resource(restApiId=api, parentId=root, pathPart="users")["id"]
    user = gateway.create_resource(restApiId=api, parentId=users, pathPart="{id}")["id"]
    gateway.put_method(restApiId=api, resourceId=user, httpMethod="POST", authorizationType="NONE")
    gateway.put_integration(
        restApiId=api,
        resourceId=user,
        httpMethod="POST",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations",
    )
    gateway.create_deployment(restApiId=api, stageName="prod")
    aws.request(f"{api}.execute-api.localhost", "/prod/users/1?q=a%20b", method="POST", headers=HEADERS)
    return aws.event_for("api_gateway_rest")


def alb(aws: RealAws) -> Any:
    arn = aws.function("alb")
    elb = aws.client("elbv2")
    balancer = elb.create_load_balancer(Name="front", Subnets=["subnet-1"])["LoadBalancers"][0]
    group = elb.create_target_group(Name="group", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    aws.request(balancer["DNSName"], "/users/1?q=a%20b", headers=HEADERS)
    return aws.event_for("alb")


SCENARIOS = (
    sqs,
    sqs_full,
    sns,
    sns_in_sqs,
    sns_raw_in_sqs,
    eventbridge,
    eventbridge_in_sqs,
    eventbridge_in_sns,
    eventbridge_in_sns_in_sqs,
    eventbridge_detail_only,
    function_url,
    api_gateway_http,
    api_gateway_rest,
    alb,
)
