"""Signs requests to AWS (Signature Version 4) with the function's credentials.

boto3's client for one service costs 400 ms of CPU and 38 MB; signing one POST is a page. The rules are those of the
IAM user guide, "Create a signed AWS API request"; the tests hold them against botocore's signer.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import NamedTuple

from hoptrace_collector.settings import Secret, Settings, Url, parse_url
from hoptrace_collector.transport import TransportError, request

__all__ = ["Credentials", "CredentialsError", "CredentialsSource", "amz_date", "sign"]

_REFRESH_BEFORE = 300.0
_KEPT = 900.0


class Credentials(NamedTuple):
    """A key, its secret, and the session token that temporary ones have."""

    access_key: str
    secret_key: Secret
    session_token: Secret


class CredentialsError(Exception):
    """There are no credentials."""


class CredentialsSource:
    """Finds credentials: in the settings, or (SnapStart) at the container credentials address, kept for 15 minutes."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._kept: Credentials | None = None
        self._kept_until = 0.0

    def get(self, deadline: float) -> Credentials:
        """Return credentials before `deadline` (monotonic); raises CredentialsError."""
        settings = self._settings
        if settings.access_key and settings.secret_key:
            return Credentials(settings.access_key, settings.secret_key, settings.session_token)
        if not settings.credentials_uri:
            raise CredentialsError("there are no AWS credentials in the environment")
        if self._kept is None or self._clock() >= self._kept_until:
            self._kept = self._fetch(parse_url(settings.credentials_uri), deadline)
            self._kept_until = self._clock() + _KEPT - _REFRESH_BEFORE
        return self._kept

    def _fetch(self, url: Url, deadline: float) -> Credentials:
        try:
            answer = request(
                "GET", url, [("authorization", self._settings.credentials_token.reveal())], deadline=deadline
            )
            value = json.loads(answer.body)
            return Credentials(value["AccessKeyId"], Secret(value["SecretAccessKey"]), Secret(value.get("Token", "")))
        except (TransportError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CredentialsError(f"the container credentials could not be read ({type(error).__name__})") from None


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
) -> list[tuple[str, str]]:
    """Return `headers` (names in lower case) of a POST of `body` with what signs them; `date` as from `amz_date`."""
    signed = [*headers, ("x-amz-date", date)]
    if credentials.session_token:
        signed.append(("x-amz-security-token", credentials.session_token.reveal()))
    canonical = sorted([*signed, ("host", url.authority)])
    names = ";".join(name for name, _ in canonical)
    path, _, query = url.target.partition("?")
    canonical_request = "\n".join(
        (
            "POST",
            path,
            "&".join(sorted(pair if "=" in pair else pair + "=" for pair in query.split("&"))) if query else "",
            *(f"{name}:{' '.join(value.split())}" for name, value in canonical),
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
