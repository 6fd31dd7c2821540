"""What may be told of a URL: never credentials, and by default no value of its query either.

By OpenTelemetry's `url.full`: credentials become `REDACTED`, and so do the values of the five keys that carry
signatures. We go further and keep only the keys of a query, because what is a secret in one is known to its owner
alone; `HOPTRACE_HTTP_QUERY=keep` keeps the rest. Errors quote URLs too, so their texts go through here as well.
"""

import re

_REDACTED = "REDACTED"

SIGNATURES = frozenset(("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sig", "X-Goog-Signature"))
"""The keys whose values are redacted always ("url.full", case-sensitive)."""

# Texts, and not compiled here: that would cost each function that imports boto3 a millisecond, whether it calls or not.
_CREDENTIALS = r"://[^/?#\s'\"@]*@"
_QUERY = r"\?([^\s'\"<>)\]]*=[^\s'\"<>)\]]*)"


def without_secrets(url: str, *, keep: bool) -> str:
    """The URL as it may be recorded; `keep`: with the values of its query, signatures excepted, and its fragment."""
    if "@" in url:
        url = re.sub(_CREDENTIALS, _hidden, url, count=1)
    url, hash_sign, fragment = url.partition("#")
    path, mark, query = url.partition("?")
    if mark:
        url = path + mark + redacted_query(query, keep=keep)
    return url + hash_sign + fragment if keep else url


def redacted_query(query: str, *, keep: bool) -> str:
    """The keys of a query, with `REDACTED` for each value; a part that is no `key=value` is a value."""
    parts = []
    for part in query.split("&"):
        key, equals, value = part.partition("=")
        if not value and equals:
            parts.append(part)
        elif not equals:
            parts.append(part if keep or not part else _REDACTED)
        else:
            parts.append(part if keep and key not in SIGNATURES else f"{key}={_REDACTED}")
    return "&".join(parts)


def scrubbed(text: str, queries: tuple[str, ...], *, keep: bool) -> str:
    """A text, such as an error's, in which URLs may stand; `queries` are those that are known to."""
    for query in queries:
        text = text.replace("?" + query, "?" + redacted_query(query, keep=keep))
    text = re.sub(_CREDENTIALS, _hidden, text)
    return re.sub(_QUERY, lambda found: "?" + redacted_query(found.group(1), keep=keep), text)


def _hidden(found: re.Match[str]) -> str:
    inner = found.group()[3:-1]
    return f"://{_REDACTED}:{_REDACTED}@" if ":" in inner else f"://{_REDACTED}@" if inner else found.group()
