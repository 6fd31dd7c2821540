"""A function's URL: the event that a request becomes, and the HTTP answer that comes of what the function returned."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from desk_kit import DeskForTests

from hoptrace_local.lambda_host import LambdaHostError

RECORDED = Path(__file__).parents[1] / "data" / "events" / "recorded" / "function_url.json"
ECHO = "import json\ndef handler(event, context):\n    return {'statusCode': 200, 'body': json.dumps(event)}\n"
RETURN = "import base64, json\ndef handler(event, context):\n    return json.loads(event['body'])\n"


def ask(
    url: str,
    method: str = "GET",
    path: str = "/",
    body: bytes | None = None,
    headers: list[tuple[str, str]] | None = None,
) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=20)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers or []:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, [(name.lower(), value) for name, value in response.getheaders()], answer


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value).__name__


def test_the_event_has_every_key_of_a_recorded_one(desk: DeskForTests) -> None:
    desk.add(ECHO)
    url = desk.host.serve_url("f")
    recorded = json.loads(RECORDED.read_text())
    sent = [("User-Agent", "curl/8.1"), ("Accept-Encoding", "identity"), ("Connection", "close")]
    sent += [("traceparent", recorded["headers"]["traceparent"]), ("tracestate", "vendor=1")]
    status, headers, body = ask(url, path="/users/1?q=a%20b&token=t0p", headers=sent)
    event = json.loads(body)
    assert status == 200
    assert shape(event) == shape(recorded)
    for same in ("version", "routeKey", "rawPath", "rawQueryString", "queryStringParameters", "isBase64Encoded"):
        assert event[same] == recorded[same]
    assert event["requestContext"]["http"] == recorded["requestContext"]["http"]
    domain = event["requestContext"]["domainName"]
    assert domain.endswith(".lambda-url.us-east-1.on.aws")
    assert event["headers"]["host"] == domain
    assert len(event["requestContext"]["domainPrefix"]) == 32
    assert dict(headers)["x-amzn-requestid"] == event["requestContext"]["requestId"]


def test_text_stays_text_and_everything_else_becomes_base64(desk: DeskForTests) -> None:
    desk.add(ECHO)
    url = desk.host.serve_url("f")

    def sent(body: bytes, kind: str | None) -> tuple[str, bool]:
        event = json.loads(ask(url, "POST", "/", body, [("Content-Type", kind)] if kind else [])[2])
        return event["body"], event["isBase64Encoded"]

    assert sent(b'{"a":1}', "application/json; charset=utf-8") == ('{"a":1}', False)
    assert sent("é".encode(), "text/plain") == ("é", False)
    assert sent(b"a=1", "application/x-www-form-urlencoded") == ("YT0x", True)
    assert sent(b"\x00\xff", "application/octet-stream") == ("AP8=", True)
    assert sent(b"hello", None) == ("aGVsbG8=", True)


def test_what_comes_twice_is_joined_and_cookies_are_a_list(desk: DeskForTests) -> None:
    desk.add(ECHO)
    url = desk.host.serve_url("f")
    headers = [("X-Two", "1"), ("x-two", "2"), ("Cookie", "a=1; b=2"), ("X-Forwarded-For", "10.0.0.1")]
    event = json.loads(ask(url, "DELETE", "/a%2Fb/c?x=1&x=2&y=", headers=headers)[2])
    assert event["headers"]["x-two"] == "1,2"
    assert event["headers"]["x-forwarded-for"] == "10.0.0.1,127.0.0.1"
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]
    assert event["queryStringParameters"] == {"x": "1,2", "y": ""}
    assert event["rawPath"] == "/a%2Fb/c"
    assert event["requestContext"]["http"]["method"] == "DELETE"


@pytest.mark.parametrize(
    ("returned", "status", "kind", "body"),
    [
        ({"a": 1}, 200, "application/json", b'{"a": 1}'),
        ("text", 200, "application/json", b"text"),
        (None, 200, "application/json", b"null"),
        ({"statusCode": 201, "body": "made"}, 201, "application/json", b"made"),
        ({"statusCode": "404", "headers": {"Content-Type": "text/plain"}, "body": "no"}, 404, "text/plain", b"no"),
        ({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}, 200, "application/json", b"\x00\xff"),
        ({"statusCode": 204}, 204, None, b""),
        ({"statusCode": "soon"}, 502, "application/json", b"Internal Server Error"),
        ({"statusCode": 200, "headers": "none"}, 502, "application/json", b"Internal Server Error"),
        ({"statusCode": 200, "body": "=", "isBase64Encoded": True}, 502, "application/json", b"Internal Server Error"),
    ],
)
def test_what_is_returned_becomes_the_answer(
    url_of_return: str, returned: object, status: int, kind: str | None, body: bytes
) -> None:
    found = ask(url_of_return, "POST", "/", json.dumps(returned).encode(), [("Content-Type", "application/json")])
    headers = dict(found[1])
    assert (found[0], found[2]) == (status, body)
    if kind:
        assert headers["content-type"] == kind


@pytest.fixture(scope="module")
def url_of_return(tmp_path_factory: pytest.TempPathFactory) -> Any:
    desk = DeskForTests(tmp_path_factory.mktemp("url"))
    desk.add(RETURN)
    try:
        yield desk.host.serve_url("f")
    finally:
        desk.host.shutdown()


def test_headers_and_cookies_of_the_answer_arrive(url_of_return: str) -> None:
    returned = {
        "statusCode": 200,
        "headers": {"X-Count": 3, "X-Yes": True},
        "cookies": ["a=1; Path=/", "b=2"],
        "body": "",
    }
    _, headers, _ = ask(
        url_of_return, "POST", "/", json.dumps(returned).encode(), [("Content-Type", "application/json")]
    )
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1; Path=/", "b=2"]
    assert dict(headers)["x-count"] == "3"
    assert dict(headers)["x-yes"] == "true"


def test_a_function_error_is_502_and_a_throttled_request_429(desk: DeskForTests) -> None:
    desk.add("def handler(event, context):\n    raise ValueError('secret')\n")
    desk.add("def handler(event, context): pass\n", name="full", max_environments=0)
    assert ask(desk.host.serve_url("f"))[::2] == (502, b"Internal Server Error")
    assert ask(desk.host.serve_url("full"))[0] == 429
    with pytest.raises(LambdaHostError, match="has a URL already"):
        desk.host.serve_url("full")
    with pytest.raises(LambdaHostError, match="cannot listen"):
        desk.add("def handler(event, context): pass\n", name="third")
        desk.host.serve_url("third", desk.host.serve())
