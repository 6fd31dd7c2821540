"""Documents of every kind with secrets planted in them, each known by a text that must never be told."""

import base64
import json
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

ALPHABET = "abcdefghijkmnpqrstuvwxyz"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
words = st.text(ALPHABET, min_size=1, max_size=8)
marks = st.integers(10**15, 10**16 - 1).map(lambda n: f"q{n:x}z")  # random enough never to stand anywhere by chance

# Names as people write them.
NAMES = """
    password passwd userPassword DB_PASSWORD x-api-key apiKey API_KEY api.key Authorization proxy-authorization Cookie
    set-cookie client_secret clientSecret aws_secret_access_key secretAccessKey sessionToken x-amz-security-token
    access_token refreshToken id_token privateKey private-key credentials Credential jwt auth pass PIN otp passphrase
    x-csrf-token connectionString creditCard card_number cvv sessionId SAMLAssertion signature bearer
""".split()  # noqa: SIM905  forty names
SEPARATORS = ("=", ": ", '="', " = '")
names = st.sampled_from(NAMES)
harmless = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.text(max_size=20),
    words,
)


def luhn(body: str) -> str:
    total = sum(
        sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(reversed(body))
    )
    return body + str(-total % 10)


@st.composite
def looks(draw):
    """A text that gives itself away, and what of it must not be told."""
    mark = draw(marks)
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return f"AKIA{draw(st.text(UPPER + DIGITS, min_size=16, max_size=16))}", None
    if kind == 1:
        body = draw(st.text(ALPHABET + UPPER + DIGITS, min_size=34, max_size=34))
        return body + "aB3/x9", None
    if kind == 2:
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "x"}, mark)
        ]
        return f"{parts[0]}.{parts[1]}.{mark}", f"{parts[1]}.{mark}"
    if kind == 3:
        return draw(st.sampled_from(("Bearer ", "bearer  ", "Basic "))) + mark, mark
    if kind == 4:
        number = luhn(
            draw(st.sampled_from(("4", "51", "2221", "6011"))).ljust(4, "7")
            + str(draw(st.integers(10**10, 10**11 - 1)))
        )
        gap = draw(st.sampled_from(("", " ", "-")))
        return gap.join(number[at : at + 4] for at in range(0, 16, 4)), None
    if kind == 5:
        name = draw(st.sampled_from(("RSA ", "EC ", "", "OPENSSH ")))
        return f"-----BEGIN {name}PRIVATE KEY-----\n{mark}\n{mark}\n-----END {name}PRIVATE KEY-----\n", mark
    if kind == 6:
        scheme = draw(st.sampled_from(("postgres", "mongodb+srv", "amqps", "https", "redis")))
        return f"{scheme}://{draw(words)}:{mark}@{draw(words)}.example/db?x=1", mark
    if kind == 7:
        return draw(st.sampled_from(("ghp_", "xoxb-", "sk_live_", "glpat-"))) + mark + mark, mark
    if kind == 8:
        return draw(names) + draw(st.sampled_from(SEPARATORS)) + mark, mark
    return f"https://{draw(words)}.example/a?b=c&{draw(st.sampled_from(('api_key', 'sig', 'code')))}={mark}&d=e", mark


around = st.text(st.characters(codec="utf-8", exclude_characters="0123456789"), max_size=30).map(lambda t: t + " ")


@st.composite
def surrounded(draw):
    """The same in the middle of a text."""
    text, mark = draw(looks())
    return f"{draw(around)}{text} {draw(around)}", mark or text


def nested(draw, inner):
    """A value around a value, some of them texts that hold a document."""
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.integers(0, 7))
        name = draw(words)
        if kind == 0:
            inner = [draw(harmless), inner, draw(harmless)]
        elif kind <= 2:
            inner = {draw(words): draw(harmless), name + "x": inner, draw(words) + "y": draw(harmless)}
        elif kind == 3:
            inner = json.dumps({name: inner}, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from((None, 1))))
        elif kind == 4:
            inner = base64.b64encode(json.dumps({name: inner, "pad": "x" * 20}).encode()).decode()
        elif kind == 5:
            inner = json.dumps(json.dumps([inner]))
        elif kind == 6:
            inner = {name: (inner, draw(harmless))}
        else:
            inner = {"Records": [{"body": json.dumps({"Message": json.dumps({name: inner})})}]}
    return inner


@st.composite
def documents(draw):
    """A document that is JSON, and what must not be told of it."""
    told = draw(st.dictionaries(words, harmless, max_size=3))
    secrets = []
    for place in range(draw(st.integers(1, 3))):
        mark = draw(marks)
        kind = draw(st.integers(0, 6))
        value = draw(st.sampled_from((mark, [mark], {"value": mark}, {"S": mark}, int(mark[1:-1], 16))))
        if kind <= 1:
            inner = {draw(names): value, draw(words): 1}
            mark = str(value) if isinstance(value, int) else mark
        elif kind == 2:
            inner = {draw(st.sampled_from(("name", "Name", "key"))): draw(names), "value": mark}
        elif kind == 3:
            inner = [draw(names), mark]
        elif kind == 4:
            inner = urlencode({draw(words): "1", draw(names): mark})
        elif kind == 5:
            inner = quote(json.dumps({draw(names): mark}))
        else:
            inner, mark = draw(surrounded())
        told[f"at{place}"] = nested(draw, inner)
        secrets.append(mark)
    return told, secrets
