"""What the golden events of the front doors must be read as."""

from scenarios import PRODUCER

from hoptrace.spans.context import SpanContext

GATEWAY = "aws.apigateway"
SCHEDULER = "aws.scheduler"

EXPECTED = {
    "recorded/websocket_connect.json": (
        "websocket",
        "http",
        "WebSocket $connect",
        [(PRODUCER, "traceparent", [GATEWAY])],
    ),
    "recorded/websocket_message.json": (
        "websocket",
        "http",
        "WebSocket order",
        [(SpanContext(PRODUCER.trace_id, PRODUCER.span_id, 1, "", remote=True), "traceparent", [GATEWAY])],
    ),
    # Another environment saw their connections being opened.
    "recorded/websocket_plain_message.json": ("websocket", "http", "WebSocket $default", [(None, "", [GATEWAY])]),
    "recorded/websocket_disconnect.json": ("websocket", "http", "WebSocket $disconnect", [(None, "", [GATEWAY])]),
    "recorded/websocket_authorized.json": (
        "websocket",
        "http",
        "WebSocket $connect",
        [(PRODUCER, "traceparent", [GATEWAY])],
    ),
    "recorded/authorizer_websocket.json": ("authorizer", "http", None, [(PRODUCER, "traceparent", [GATEWAY])]),
    "recorded/authorizer_rest_token.json": ("authorizer", "http", None, [(None, "", [])]),
    # MiniStack's authorizers are not told when the request came.
    "recorded/authorizer_rest_request.json": ("authorizer", "http", None, [(PRODUCER, "traceparent", [])]),
    "recorded/authorizer_http.json": ("authorizer", "http", None, [(PRODUCER, "traceparent", [])]),
    "recorded/api_gateway_rest_authorized.json": (
        "api_gateway_rest",
        "http",
        "GET /",
        [(PRODUCER, "traceparent", [GATEWAY])],
    ),
    "recorded/api_gateway_http_authorized.json": (
        "api_gateway_http",
        "http",
        "GET /users/{id}",
        [(PRODUCER, "traceparent", [GATEWAY])],
    ),
    "recorded/appsync.json": ("appsync", "http", "Query.order", [(PRODUCER, "traceparent", [])]),
    "recorded/cognito.json": ("cognito", "other", None, [(None, "", [])]),
    "recorded/iot.json": ("iot", "pubsub", None, [(PRODUCER, "traceparent", ["aws.iot"])]),
    "recorded/scheduler.json": ("scheduler", "timer", None, [(None, "", [SCHEDULER])]),
    "sam/apigateway-authorizer.json": ("authorizer", "http", None, [(None, "", [])]),
    "sam/apigateway-request-authorizer.json": ("authorizer", "http", None, [(None, "", [])]),
    "sam/appsync-resolver.json": ("appsync", "http", "Mutation.createSomething", [(None, "", [])]),
    "sam/cognito-sync-trigger.json": ("cognito", "other", None, [(None, "", [])]),
    "documented/alb_multi_value.json": ("alb", "http", None, [(None, "", [])]),
    "documented/authorizer_http_v1.json": ("authorizer", "http", None, [(None, "", [])]),
    "documented/authorizer_http_v2.json": ("authorizer", "http", None, [(None, "", [GATEWAY])]),
    "documented/cognito_pre_sign_up.json": ("cognito", "other", None, [(None, "", [])]),
    "documented/iot_connected.json": ("iot", "pubsub", None, [(None, "", [])]),
    "documented/iot_job_completed.json": ("iot", "pubsub", None, [(None, "", [])]),
    "documented/scheduler_context_attributes.json": ("scheduler", "timer", None, [(None, "", [SCHEDULER])]),
}
