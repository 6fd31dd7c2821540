"""What reaches a function through the front doors: WebSocket, authorizers and who is behind them, AppSync, others."""

import asyncio
import json
import time
from typing import Any

import aiohttp
from real_aws import REGION, RealAws
from scenarios import HEADERS, PRODUCER

from hoptrace.carriers.authorizer import inject_answer
from hoptrace.carriers.reserved import add
from hoptrace.spans.context import SpanContext, format_traceparent

AUTHORIZER = SpanContext("cccccccccccccccccccccccccccccccc", "dddddddddddddddd", 1, "", remote=True)
TOKEN = {"Authorization": "secret"}
# MiniStack runs Python functions of a WebSocket API itself, where no event comes to us.
ELSEWHERE = "java21"


def _policy(event: Any) -> Any:
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event.get("methodArn", "*")}
    answer = {"principalId": "me", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    return inject_answer(answer, AUTHORIZER)


def _simple(_event: Any) -> Any:
    return inject_answer({"isAuthorized": True, "context": {"tenant": "a"}}, AUTHORIZER)


def _integration(arn: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


# --- WebSocket


def _websocket(aws: RealAws, name: str, messages: tuple[str, ...] = (), authorizer: str = "") -> list[Any]:
    """Open a connection, send these messages, close it; the events of all of that."""
    arn = aws.function(name, runtime=ELSEWHERE)
    gateway = aws.client("apigatewayv2")
    api = gateway.create_api(Name=name, ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")[
        "ApiId"
    ]
    integration = gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=_integration(arn))[
        "IntegrationId"
    ]
    secured = {}
    if authorizer:
        of_authorizer = aws.function(authorizer, _policy, ELSEWHERE)
        made = gateway.create_authorizer(
            ApiId=api,
            Name="a",
            AuthorizerType="REQUEST",
            AuthorizerUri=_integration(of_authorizer),
            IdentitySource=["route.request.header.Authorization"],
        )
        secured = {"AuthorizationType": "CUSTOM", "AuthorizerId": made["AuthorizerId"]}
    for route in ("$connect", "$disconnect", "$default", "order"):
        more = secured if route == "$connect" else {}
        gateway.create_route(ApiId=api, RouteKey=route, Target=f"integrations/{integration}", **more)
    gateway.create_stage(ApiId=api, StageName="prod", AutoDeploy=True)
    asyncio.run(_talk(f"ws://127.0.0.1:{aws.port}/prod", f"{api}.execute-api.localhost:{aws.port}", messages))
    return [aws.event_for(name) for _ in range(2 + len(messages))]


async def _talk(url: str, host: str, messages: tuple[str, ...]) -> None:
    headers = {"Host": host, "User-Agent": "curl/8.1", **HEADERS, **TOKEN}
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as socket:
        for message in messages:
            await socket.send_str(message)
            await asyncio.sleep(0.2)


def websocket_connect(aws: RealAws) -> Any:
    return _websocket(aws, "websocket_connect")[0]


def websocket_message(aws: RealAws) -> Any:
    """A message that carries a context of its own."""
    text = json.dumps({"action": "order", "traceparent": format_traceparent(PRODUCER)})
    return _websocket(aws, "websocket_message", (text,))[1]


def websocket_plain_message(aws: RealAws) -> Any:
    return _websocket(aws, "websocket_plain_message", ("hello",))[1]


def websocket_disconnect(aws: RealAws) -> Any:
    return _websocket(aws, "websocket_disconnect")[-1]


def websocket_authorized(aws: RealAws) -> Any:
    return _websocket(aws, "websocket_authorized", authorizer="websocket_authorized_by")[0]


def authorizer_websocket(aws: RealAws) -> Any:
    _websocket(aws, "websocket_behind", authorizer="authorizer_websocket")
    return aws.event_for("authorizer_websocket")


# --- authorizers, and the functions behind them


def _rest(aws: RealAws, name: str, authorizer: str, kind: str) -> None:
    arn, of_authorizer = aws.function(name), aws.function(authorizer, _policy)
    gateway = aws.client("apigateway")
    api = gateway.create_rest_api(name=name)["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    made = gateway.create_authorizer(
        restApiId=api,
        name="a",
        type=kind,
        authorizerUri=_integration(of_authorizer),
        identitySource="method.request.header.Authorization",
    )
    gateway.put_method(
        restApiId=api, resourceId=root, httpMethod="GET", authorizationType="CUSTOM", authorizerId=made["id"]
    )
    gateway.put_integration(
        restApiId=api,
        resourceId=root,
        httpMethod="GET",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=_integration(arn),
    )
    gateway.create_deployment(restApiId=api, stageName="prod")
    aws.request(f"{api}.execute-api.localhost", "/prod/", headers={**HEADERS, **TOKEN})


def authorizer_rest_token(aws: RealAws) -> Any:
    _rest(aws, "rest_behind_token", "authorizer_rest_token", "TOKEN")
    return aws.event_for("authorizer_rest_token")


def authorizer_rest_request(aws: RealAws) -> Any:
    _rest(aws, "rest_behind_request", "authorizer_rest_request", "REQUEST")
    return aws.event_for("authorizer_rest_request")


def api_gateway_rest_authorized(aws: RealAws) -> Any:
    _rest(aws, "api_gateway_rest_authorized", "rest_authorized_by", "REQUEST")
    return aws.event_for("api_gateway_rest_authorized")


def _http(aws: RealAws, name: str, authorizer: str) -> None:
    arn, of_authorizer = aws.function(name), aws.function(authorizer, _simple)
    gateway = aws.client("apigatewayv2")
    api = gateway.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    made = gateway.create_authorizer(
        ApiId=api,
        Name="a",
        AuthorizerType="REQUEST",
        AuthorizerUri=_integration(of_authorizer),
        AuthorizerPayloadFormatVersion="2.0",
        IdentitySource=["$request.header.Authorization"],
        EnableSimpleResponses=True,
    )
    gateway.create_route(
        ApiId=api,
        RouteKey="GET /users/{id}",
        Target=f"integrations/{integration}",
        AuthorizationType="CUSTOM",
        AuthorizerId=made["AuthorizerId"],
    )
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    aws.request(f"{api}.execute-api.localhost", "/users/1", headers={**HEADERS, **TOKEN})


def authorizer_http(aws: RealAws) -> Any:
    _http(aws, "http_behind", "authorizer_http")
    return aws.event_for("authorizer_http")


def api_gateway_http_authorized(aws: RealAws) -> Any:
    _http(aws, "api_gateway_http_authorized", "http_authorized_by")
    return aws.event_for("api_gateway_http_authorized")


# --- the others


def appsync(aws: RealAws) -> Any:
    arn = aws.function("appsync", lambda _event: "done")
    client = aws.client("appsync")
    api = client.create_graphql_api(name="shop", authenticationType="API_KEY")["graphqlApi"]
    key = client.create_api_key(apiId=api["apiId"])["apiKey"]["id"]
    client.start_schema_creation(
        apiId=api["apiId"], definition=b"type Query { order(id: ID!): String } schema { query: Query }"
    )
    client.create_data_source(apiId=api["apiId"], name="f", type="AWS_LAMBDA", lambdaConfig={"lambdaFunctionArn": arn})
    client.create_resolver(apiId=api["apiId"], typeName="Query", fieldName="order", dataSourceName="f")
    body = json.dumps({"query": '{ order(id: "1") }'}).encode()
    headers = {"x-api-key": key, "Content-Type": "application/json", **HEADERS}
    aws.request("127.0.0.1", f"/v1/apis/{api['apiId']}/graphql", method="POST", headers=headers, body=body)
    return aws.event_for("appsync")


def cognito(aws: RealAws) -> Any:
    arn = aws.function("cognito", lambda event: event)
    client = aws.client("cognito-idp")
    pool = client.create_user_pool(PoolName="people", LambdaConfig={"PreSignUp": arn})["UserPool"]["Id"]
    app = client.create_user_pool_client(UserPoolId=pool, ClientName="app")["UserPoolClient"]["ClientId"]
    client.sign_up(ClientId=app, Username="jane", Password="Long-enough-1")
    return aws.event_for("cognito")


def iot(aws: RealAws) -> Any:
    """A rule that passes on the whole of a message that came with our key."""
    arn = aws.function("iot")
    aws.client("iot").create_topic_rule(
        ruleName="all",
        topicRulePayload={"sql": "SELECT * FROM 'orders/#'", "actions": [{"lambda": {"functionArn": arn}}]},
    )
    payload = add('{"order": 1}', PRODUCER, int(time.time() * 1000), 1_000, via="iot")
    assert payload is not None
    aws.client("iot-data").publish(topic="orders/new", qos=1, payload=payload.encode())
    return aws.event_for("iot")


def scheduler(aws: RealAws) -> Any:
    arn = aws.function("scheduler")
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    aws.client("scheduler").create_schedule(
        Name="nightly",
        ScheduleExpression=f"at({soon})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": "arn:aws:iam::000000000000:role/r"},
    )
    return aws.event_for("scheduler")


SCENARIOS = (
    websocket_connect,
    websocket_message,
    websocket_plain_message,
    websocket_disconnect,
    websocket_authorized,
    authorizer_websocket,
    authorizer_rest_token,
    authorizer_rest_request,
    api_gateway_rest_authorized,
    authorizer_http,
    api_gateway_http_authorized,
    appsync,
    cognito,
    iot,
    scheduler,
)
