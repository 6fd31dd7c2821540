"""Authorizers: what one answers really gets through API Gateway to the function behind it, and so does its span."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hoptrace.carriers.authorizer import inject_answer
from hoptrace.spans.context import SpanContext, format_traceparent
from hoptrace.triggers import identify
from tests.contract.lab import Lab
from tests.triggers.real_aws import REGION

AUTHORIZER = SpanContext("c" * 32, "d" * 16, 1, "vendor=1", remote=True)
CALLER = SpanContext("a" * 32, "b" * 16, 1, "", remote=True)
HEADERS = {"traceparent": format_traceparent(CALLER), "Authorization": "secret"}


def policy(event: Any, **context: Any) -> Any:
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event.get("methodArn", "*")}
    answer: dict[str, Any] = {
        "principalId": "me",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }
    return {**answer, "context": context} if context else answer


def simple(_event: Any, **context: Any) -> Any:
    return {"isAuthorized": True, "context": context} if context else {"isAuthorized": True}


class Authorizer:
    """What MiniStack asks: answers, and keeps what the answer was before and after."""

    def __init__(self, make: Any, **context: Any) -> None:
        self.make, self.context = make, context

    def __call__(self, event: Any) -> Any:
        answer = self.make(event, **self.context)
        before = copy.deepcopy(answer)
        carried = inject_answer(answer, AUTHORIZER)
        assert answer == before
        assert carried is not answer
        return carried


def uri(arn: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


def behind_rest(lab: Lab, authorizer: Authorizer) -> Any:
    name = lab.name("behind")
    arn, asked = lab.aws.function(name), lab.aws.function(lab.name("authorizer"), authorizer)
    gateway = lab.aws.client("apigateway")
    api = gateway.create_rest_api(name=name)["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    source = "method.request.header.Authorization"
    made = gateway.create_authorizer(
        restApiId=api, name="a", type="REQUEST", authorizerUri=uri(asked), identitySource=source
    )["id"]
    where = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
    gateway.put_method(**where, authorizationType="CUSTOM", authorizerId=made)
    gateway.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri(arn))
    gateway.create_deployment(restApiId=api, stageName="prod")
    lab.aws.request(f"{api}.execute-api.localhost", "/prod/", headers=HEADERS)
    return lab.aws.event_for(name)


def behind_http(lab: Lab, authorizer: Authorizer) -> Any:
    name = lab.name("behind")
    arn, asked = lab.aws.function(name), lab.aws.function(lab.name("authorizer"), authorizer)
    gateway = lab.aws.client("apigatewayv2")
    api = gateway.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
    target = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    made = gateway.create_authorizer(
        ApiId=api,
        Name="a",
        AuthorizerType="REQUEST",
        AuthorizerUri=uri(asked),
        AuthorizerPayloadFormatVersion="2.0",
        IdentitySource=["$request.header.Authorization"],
        EnableSimpleResponses=authorizer.make is simple,
    )["AuthorizerId"]
    route = {"RouteKey": "GET /", "Target": f"integrations/{target}"}
    gateway.create_route(ApiId=api, **route, AuthorizationType="CUSTOM", AuthorizerId=made)
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    lab.aws.request(f"{api}.execute-api.localhost", "/", headers=HEADERS)
    return lab.aws.event_for(name)


@pytest.mark.parametrize("context", [{}, {"tenant": "a", "level": 7, "admin": True}], ids=["bare", "with context"])
@pytest.mark.parametrize(("door", "make"), [(behind_rest, policy), (behind_http, policy), (behind_http, simple)])
def test_the_function_behind_is_linked_to_the_authorizer_and_keeps_its_caller(
    door: Any, make: Any, context: dict[str, Any], lab: Lab
) -> None:
    event = door(lab, Authorizer(make, **context))
    (record,) = identify(event).records
    assert record.context is not None
    assert (record.context.trace_id, record.context.span_id) == (CALLER.trace_id, CALLER.span_id)
    assert [(one.trace_id, one.span_id) for one, _ in record.links] == [(AUTHORIZER.trace_id, AUTHORIZER.span_id)]
    given = event["requestContext"]["authorizer"]
    given = given.get("lambda", given)
    assert {name: str(given[name]).lower() for name in context} == {
        name: str(value).lower() for name, value in context.items()
    }
