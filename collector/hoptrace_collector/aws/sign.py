"""Signs requests to AWS (Signature Version 4).

The rules are those of the IAM user guide, "Create a signed AWS API request"; the tests hold them against botocore's
signer.
"""

import hashlib
import hmac
import time
from typing import NamedTuple

from hoptrace_collector.settings import Secret, Url

__all__ = ["Credentials", "amz_date", "sign"]

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


class Credentials(NamedTuple):
    """A key, its secret, and the session token that temporary ones have."""

    access_key: str
    secret_key: Secret
    session_token: Secret


def amz_date(seconds: float) -> str:
    """Return the time as a signature wants it: `20261123T100000Z`."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def sign(
    credentials: Credentials,
    *,
    service: str,
    region: str,
    url: Url,
    headers: list[tuple[str, str]],
    body: bytes,
    date: str,
    method: str = "POST",
) -> list[tuple[str, str]]:
    """Return `headers` (names in lower case) of a request with what signs them; `date` as from `amz_date`.

    What is not given here may still be sent along: only the headers of a signature are part of it. A path of S3's is
    signed as it is sent, so it must be encoded.
    """
    signed = [*headers, ("x-amz-date", date)]
    if credentials.session_token:
        signed.append(("x-amz-security-token", credentials.session_token.reveal()))
    canonical = _canonical([*signed, ("host", url.authority)])
    names = ";".join(canonical)
    path, _, query = url.target.partition("?")
    canonical_request = "\n".join(
        (
            method,
            path if service == "s3" else _path(path),
            _query(query),
            *(f"{name}:{value}" for name, value in canonical.items()),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical_request.encode()).hexdigest()))
    key = b"AWS4" + credentials.secret_key.reveal().encode()
    for part in (date[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return [*signed, ("authorization", authorization)]


def _canonical(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return each name once, in order, with its values on one line and without needless spaces."""
    out: dict[str, str] = {}
    for name, value in headers:
        value = " ".join(value.split())
        out[name] = f"{out[name]},{value}" if name in out else value
    return dict(sorted(out.items()))


def _path(path: str) -> str:
    """Return the path without dot segments and empty ones, encoded once more, as all services but S3 want it."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part and part != ".":
            kept.append(part)
    slash = "/" if path.endswith("/") and kept else ""
    encoded = ("/" + "/".join(kept) + slash).encode()
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in encoded)


def _query(query: str) -> str:
    """Return the pairs in the order of their names, and of their values where one name stands twice."""
    if not query:
        return ""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)
