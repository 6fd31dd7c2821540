"""HTTP: a real client, a gateway that really makes the event, and the span that sent the request at the other end."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import urllib3

from hoptrace.triggers import identify
from tests.contract.lab import Lab, traced
from tests.triggers.real_aws import REGION

THEIRS = {"X-Mine": "yes", "Accept": "text/plain"}


@dataclass
class Door:
    """What a client asks, and which function gets the event of it."""

    host: str
    path: str
    function: str


def function_url(lab: Lab) -> Door:
    name = lab.name("url")
    lab.aws.function(name)
    made = lab.aws.client("lambda").create_function_url_config(FunctionName=name, AuthType="NONE")
    return Door(made["FunctionUrl"].split("/")[2], "/users/1", name)


def http_api(lab: Lab) -> Door:
    name = lab.name("http")
    arn = lab.aws.function(name)
    gateway = lab.aws.client("apigatewayv2")
    api = gateway.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
    target = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    gateway.create_route(ApiId=api, RouteKey="POST /users/{id}", Target=f"integrations/{target}")
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return Door(f"{api}.execute-api.localhost", "/users/1", name)


def rest_api(lab: Lab) -> Door:
    name = lab.name("rest")
    arn = lab.aws.function(name)
    gateway = lab.aws.client("apigateway")
    api = gateway.create_rest_api(name=name, binaryMediaTypes=["application/octet-stream"])["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    users = gateway.create_resource(restApiId=api, parentId=root, pathPart="{proxy+}")["id"]
    gateway.put_method(restApiId=api, resourceId=users, httpMethod="POST", authorizationType="NONE")
    gateway.put_integration(
        restApiId=api,
        resourceId=users,
        httpMethod="POST",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations",
    )
    gateway.create_deployment(restApiId=api, stageName="prod")
    return Door(f"{api}.execute-api.localhost", "/prod/users/1", name)


def balancer(lab: Lab) -> Door:
    name = lab.name("alb")
    arn = lab.aws.function(name)
    elb = lab.aws.client("elbv2")
    made = elb.create_load_balancer(Name=name, Subnets=["subnet-1"])["LoadBalancers"][0]
    group = elb.create_target_group(Name=f"{name}-g", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    return Door(made["DNSName"], "/users/1", name)


DOORS = {"function URL": function_url, "HTTP API": http_api, "REST API": rest_api, "load balancer": balancer}


def by_requests(url: str, headers: dict[str, str], body: bytes) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, headers=headers, data=body, timeout=20).status_code


def by_urllib3(url: str, headers: dict[str, str], body: bytes) -> int:
    with urllib3.PoolManager() as pool:
        return pool.request("POST", url, headers=headers, body=body, timeout=20).status


CLIENTS: dict[str, Callable[[str, dict[str, str], bytes], int]] = {"requests": by_requests, "urllib3": by_urllib3}


@pytest.fixture(scope="module")
def doors(lab: Lab) -> Iterator[dict[str, Door]]:
    yield {name: make(lab) for name, make in DOORS.items()}


def ask(lab: Lab, door: Door, client: str, body: bytes) -> Any:
    headers = {**THEIRS, "Host": door.host, "Content-Type": "application/octet-stream"}
    before = dict(headers)
    assert CLIENTS[client](lab.aws.url + door.path, headers, body) == 200
    assert headers == before
    return lab.aws.event_for(door.function)


def lowered(event: Any) -> dict[str, Any]:
    return {name.lower(): value for name, value in event["headers"].items()}


def body_of(event: Any) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("body", [b"", b'{"order": 1.50}', "\u00fc".encode(), b"\x00\xff\xfe\x80"])
def test_the_function_behind_a_door_gets_the_request_and_the_span_that_sent_it(
    body: bytes, door: str, client: str, lab: Lab, doors: dict[str, Door]
) -> None:
    with traced() as recorder:
        event = ask(lab, doors[door], client, body)
        (span,) = recorder.spans
    (record,) = identify(event).records
    assert record.context is not None
    assert (record.context.trace_id, record.context.span_id) == (span.context.trace_id, span.context.span_id)
    headers = lowered(event)
    assert {name: headers[name.lower()] for name in THEIRS} == THEIRS
    assert body_of(event) == body


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("more", [{"OTEL_PROPAGATORS": "none"}, {"HOPTRACE_INJECT_DISABLED": "http"}])
def test_switched_off_the_function_gets_the_headers_that_it_would_get_without_us(
    more: dict[str, str], client: str, lab: Lab, doors: dict[str, Door]
) -> None:
    door = doors["HTTP API"]
    fresh = {"x-amzn-trace-id"}  # the emulator makes one for every request that has none
    alone = lowered(ask(lab, door, client, b"x"))
    with traced(more):
        ours = lowered(ask(lab, door, client, b"x"))
    assert {**ours, **dict.fromkeys(fresh, "")} == {**alone, **dict.fromkeys(fresh, "")}
    with traced():
        assert "traceparent" in lowered(ask(lab, door, client, b"x"))


def test_each_format_that_is_listed_comes_back_through_a_door(lab: Lab, doors: dict[str, Door]) -> None:
    for formats in ("tracecontext", "b3", "b3multi", "tracecontext,b3", "tracecontext,baggage,xray"):
        with traced({"OTEL_PROPAGATORS": formats}) as recorder:
            event = ask(lab, doors["function URL"], "urllib3", json.dumps(formats).encode())
            (span,) = recorder.spans
            (record,) = identify(event).records
        assert record.context is not None, formats
        assert (record.context.trace_id, record.context.span_id) == (span.context.trace_id, span.context.span_id)
