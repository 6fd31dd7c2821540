"""What is a secret and what is not: by names, by looks, by place, and by what the user says."""

import json
import time

import pytest

from hoptrace.capture.redaction import Redaction
from hoptrace.capture.users_patterns import refusal
from hoptrace.capture.writer import Writer
from hoptrace.settings import Settings


def rules(**environ):
    return Redaction(Settings({f"HOPTRACE_REDACT_{name.upper()}": value for name, value in environ.items()}))


PLAIN = rules()


def written(value, with_rules=PLAIN):
    return Writer(with_rules, 4096, 10, 100).document(value)


@pytest.mark.parametrize(
    "name",
    [
        "Password",
        "x-api-key",
        "X_API_KEY",
        "apiKey",
        "Set-Cookie",
        "aws_secret_access_key",
        "AccessKeyId",
        "Authorization",
        "id_token",
        "passwd",
        "PIN",
        "auth",
        "client.secret",
        ":password",
        "#pwd",
        "$connectionString",
        "sessionID",
    ],
)
def test_what_stands_under_a_secrets_name_is_one(name):
    for value in ("x", 5, True, ["x"], {"a": {"b": "x"}}, b"x"):
        assert written({name: value}) == json.dumps({name: "REDACTED"}, separators=(",", ":"))
    assert written({name: None}) == json.dumps({name: None}, separators=(",", ":"))


@pytest.mark.parametrize(
    "name",
    [
        "statusCode",
        "author",
        "passenger",
        "design",
        "key",
        "Key",
        "s3Key",
        "Keys",
        "monkey",
        "code",
        "zipCode",
        "option",
        "compass",
        "assigned",
        "KeyConditionExpression",
        "hotpink",
        "pinned",
        "eventSourceARN",
        "discipline",
    ],
)
def test_what_stands_under_another_name_is_none(name):
    assert written({name: "x"}) == json.dumps({name: "x"}, separators=(",", ":"))


def test_counts_of_tokens_are_none():
    assert (
        written({"max_tokens": 100, "inputTokens": 3, "tokens": "x"})
        == '{"max_tokens":100,"inputTokens":3,"tokens":"REDACTED"}'
    )


def test_a_name_beside_its_value_gives_it_away():
    assert written([{"name": "password", "value": "x"}]) == '[{"name":"password","value":"REDACTED"}]'
    assert written([{"Name": "color", "Value": "x"}]) == '[{"Name":"color","Value":"x"}]'
    assert written([["Authorization", "x"], ["Accept", "y"]]) == '[["Authorization","REDACTED"],["Accept","y"]]'
    assert written(["run", "--password", "x", "y"]) == '["run","--password","REDACTED","y"]'


def test_in_a_query_more_words_count():
    event = {"queryStringParameters": {"code": "x", "page": "2"}, "rawQueryString": "code=x&page=2", "code": "y"}
    assert json.loads(written(event)) == {
        "queryStringParameters": {"code": "REDACTED", "page": "2"},
        "rawQueryString": "code=REDACTED&page=2",
        "code": "y",
    }


SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id AKIAIOSFODNN7EXAMPLE.", "id REDACTED."),
        ("ASIAIOSFODNN7EXAMPLE", "REDACTED"),
        (f"the key {SECRET}, no other", "the key REDACTED, no other"),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("curl -H 'Authorization: Bearer abc.def'", "curl -H 'Authorization: REDACTED'"),
        ("Bearer abcdef", "Bearer REDACTED"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ b", "a REDACTED b"),
        ("pay 4111 1111 1111 1111 now", "pay REDACTED now"),
        ("5500-0000-0000-0004", "REDACTED"),
        ("378282246310005", "REDACTED"),
        ("1 4111111111111111 2", "1 REDACTED 2"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("1790000000000", "1790000000000"),
        (
            "49590338271490256608559692538361571095921575989136588898",
            "49590338271490256608559692538361571095921575989136588898",
        ),
        ("postgres://app:s3cr3t@db:5432/x", "postgres://REDACTED@db:5432/x"),
        ("postgres://app:p@ss/w:rd@db:5432/x", "postgres://REDACTED@db:5432/x"),
        ("redis://:s3cr3t@cache:6379", "redis://REDACTED@cache:6379"),
        ("http://localhost:8080/a?mail=b@c.d", "http://localhost:8080/a?mail=b@c.d"),
        ("Server=db;User Id=app;Password=s3cr3t;Pooling=true", "Server=db;User Id=app;Password=REDACTED;Pooling=true"),
        ("<Password>s3cr3t</Password>", "<Password>REDACTED</Password>"),
        ('<password type="x">s3cr3t</password>', '<password type="x">REDACTED</password>'),
        (
            '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--b--',
            '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nREDACTED\r\n--b--',
        ),
        ("user=bob&password=hunter2&a=b", "user=bob&password=REDACTED&a=b"),
        ("user%5Bpassword%5D=hunter2&a=b", "user%5Bpassword%5D=REDACTED&a=b"),
        ("{'password': 'hunter2', 'a': 1}", "{'password': 'REDACTED', 'a': 1}"),
        ('x {"password": {"a": "hunter2"}}', 'x {"password": REDACTED'),
        ('log: {\\"apiKey\\": \\"abc\\"}', 'log: {\\"apiKey\\": REDACTED}'),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "REDACTED"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/REDACTED"),
        (
            "https://x.example/?X-Amz-Signature=abc&X-Amz-Date=1",
            "https://x.example/?X-Amz-Signature=REDACTED&X-Amz-Date=1",
        ),
        (
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- x", "REDACTED x"),
        ("-----BEGIN PRIVATE KEY-----\nMII", "REDACTED"),
        ("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMII"),
        ("ordinary text, with: punctuation = and so on", "ordinary text, with: punctuation = and so on"),
        ("bob@example.com", "bob@example.com"),
        ("İPASSWORD=hunter2", "İPASSWORD=REDACTED"),
    ],
)
def test_what_looks_like_a_secret(text, told):
    if text.startswith("curl"):
        assert "abc.def" not in PLAIN.clean(text)[0]
    else:
        assert PLAIN.clean(text)[0] == told
    assert PLAIN.clean(PLAIN.clean(text)[0])[0] == PLAIN.clean(text)[0] or "{" in text


def test_numbers_are_looked_at_too():
    assert written({"a": 4111111111111111, "b": 4111111111111112, "c": 4111111111111111.0, 4111111111111111: 1}) == (
        '{"a":"REDACTED","b":4111111111111112,"c":"REDACTED","REDACTED":1}'
    )


def test_what_is_in_a_text_is_looked_into():
    inner = json.dumps({"password": "x", "a": 1})
    for text in (inner, json.dumps(json.dumps({"password": "x"})), f"\n {inner}"):
        assert '"x' not in written({"body": text}).replace("\\", "")
    import base64

    packed = base64.b64encode(json.dumps({"password": "x", "order": 17}).encode()).decode()
    assert json.loads(written({"data": packed}))["data"] == 'base64:{"password":"REDACTED","order":17}'
    import gzip

    assert json.loads(written({"d": base64.b64encode(gzip.compress(b"password=x")).decode()}))["d"].startswith(
        "<binary, "
    )
    assert written({"name twice": '{"password": "x", "password": null}'}) == '{"name twice":"{\\"password\\":null}"}'


def test_words_of_the_users():
    own = rules(keys="customer_number, Plate")
    assert written({"customerNumber": 5, "licensePlate": "x", "plat": "y"}, own) == (
        '{"customerNumber":"REDACTED","licensePlate":"REDACTED","plat":"y"}'
    )
    assert own.clean("licensePlate: abc")[0] == "licensePlate: REDACTED"


def test_names_that_the_user_keeps():
    own = rules(keep="nextToken, cookie-policy")
    assert written({"NextToken": "x", "cookiePolicy": "y", "token": "z"}, own) == (
        '{"NextToken":"x","cookiePolicy":"y","token":"REDACTED"}'
    )
    assert own.clean("next_token=x token=y")[0] == "next_token=x token=REDACTED"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("$.a.b", {"a": {"b": "REDACTED", "c": 2}, "l": [{"p": 1}, {"p": 2}], "b": 3}),
        ("$.l[*].p", {"a": {"b": 1, "c": 2}, "l": [{"p": "REDACTED"}, {"p": "REDACTED"}], "b": 3}),
        ("$.l[1]", {"a": {"b": 1, "c": 2}, "l": [{"p": 1}, "REDACTED"], "b": 3}),
        ("$..b", {"a": {"b": "REDACTED", "c": 2}, "l": [{"p": 1}, {"p": 2}], "b": "REDACTED"}),
        ("$.*.c", {"a": {"b": 1, "c": "REDACTED"}, "l": [{"p": 1}, {"p": 2}], "b": 3}),
        ("$['a']", {"a": "REDACTED", "l": [{"p": 1}, {"p": 2}], "b": 3}),
        ("$.l..p", {"a": {"b": 1, "c": 2}, "l": [{"p": "REDACTED"}, {"p": "REDACTED"}], "b": 3}),
        ("$.A.b", {"a": {"b": 1, "c": 2}, "l": [{"p": 1}, {"p": 2}], "b": 3}),
    ],
)
def test_paths(path, told):
    document = {"a": {"b": 1, "c": 2}, "l": [{"p": 1}, {"p": 2}], "b": 3}
    assert json.loads(written(document, rules(paths=path))) == told
    inside = json.loads(written({"body": json.dumps(document)}, rules(paths=path.replace("$", "$.body", 1))))
    assert json.loads(inside["body"]) == told


@pytest.mark.parametrize("path", ["a.b", "$", "$.", "$..", "$.a[", "$.a[x]", "$.a b"])
def test_what_is_no_path_is_told(path, capfd):
    assert rules(paths=path).where == ()
    assert "is not a JSON path" in capfd.readouterr().err


def test_emails_where_they_are_secrets():
    assert rules(emails="true").clean("to bob.b+x@mail.example.com, now")[0] == "to REDACTED, now"


def test_patterns_of_the_users():
    own = rules(patterns=r"CUST-\d{4,8} (?i:ticket)\s#\d+")
    assert (
        own.clean("CUST-12345 has Ticket #77 " + "x" * 300 + " CUST-7777")[0]
        == "REDACTED has REDACTED " + "x" * 300 + " REDACTED"
    )
    assert written({"CUST-1234": 1}, own) == '{"REDACTED":1}'


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+$",
        "(a|a)*b",
        "(a|aa)+$",
        "(.*)*x",
        r"(\w+\s?)*$",
        r"(x)\1+",
        "a*a*a*b",
        "(a{1,30}){1,30}b",
        "((ab)*)*",
        "(?:a?){30}a{30}",
    ],
)
def test_an_expression_that_could_take_forever_is_refused(expression, capfd):
    assert "take forever" in refusal(expression)
    own = rules(patterns=expression)
    began = time.process_time()
    own.clean("a" * 3000)
    assert time.process_time() - began < 1
    assert "HOPTRACE_REDACT_PATTERNS: expression 1 " in capfd.readouterr().err


@pytest.mark.parametrize("expression", ["(", "[", "x" * 2000, "(?P<a>x)(?P<a>y)"])
def test_what_is_no_expression_is_refused(expression):
    assert refusal(expression)


@pytest.mark.parametrize(
    "expression", [r"\d{3}-\d{2}-\d{4}", r"\b[A-Z]{2}\d+\b", r"\w+@\w+", "(?:foo|bar)-[0-9a-f]{8}", "(ab){3}", "a?b?c?"]
)
def test_ordinary_expressions_are_used(expression):
    assert refusal(expression) == ""


def test_an_expression_that_is_slow_all_the_same_takes_no_time():
    own = rules(patterns=r"a*a*b")
    began = time.process_time()
    told, _ = own.clean("a" * 30_000)
    assert time.process_time() - began < 2
    assert told in ("REDACTED", "a" * 30_000)
