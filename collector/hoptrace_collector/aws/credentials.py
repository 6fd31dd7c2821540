"""Finds the credentials that requests to AWS are signed with, and has new ones in time.

Where they are looked for, in this order: the environment (Lambda's), and the address of container credentials
(SnapStart, ECS, EKS), as the AWS SDKs and Tools Reference Guide has it ("Container credential provider").
"""

import json
import time
from collections.abc import Callable

from hoptrace_collector.aws.sign import Credentials
from hoptrace_collector.settings import Aws, Secret, Url, parse_url
from hoptrace_collector.timestamps import nanoseconds
from hoptrace_collector.transport import TransportError, request

__all__ = ["CredentialsError", "CredentialsSource"]

# How long before they expire new ones are fetched, and how long they are kept when nobody says, in seconds.
_REFRESH_BEFORE = 300.0
_KEPT = 600.0


class CredentialsError(Exception):
    """There are no credentials."""


class CredentialsSource:
    """Credentials of the settings, or of the address that the settings name, kept until shortly before they end."""

    def __init__(
        self,
        aws: Aws,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._aws = aws
        self._clock = clock
        self._now = now
        self._kept: Credentials | None = None
        self._kept_until = 0.0
        self._kept_until_now = 0.0

    def get(self, deadline: float) -> Credentials:
        """Return credentials before `deadline` (monotonic); raises CredentialsError."""
        aws = self._aws
        # Keys of the environment are in a snapshot, and long expired when it is restored.
        lasting = not (aws.snap_start and aws.credentials_uri)
        if aws.access_key and aws.secret_key and lasting:
            return Credentials(aws.access_key, aws.secret_key, aws.session_token)
        if not aws.credentials_uri:
            raise CredentialsError(
                "there are no AWS credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor "
                "AWS_CONTAINER_CREDENTIALS_FULL_URI is set"
            )
        # By both clocks: a monotonic one stands still in a freeze, and in a snapshot for months.
        if self._kept is None or self._clock() >= self._kept_until or self._now() >= self._kept_until_now:
            self._kept, seconds = self._fetch(parse_url(aws.credentials_uri), deadline)
            self._kept_until, self._kept_until_now = self._clock() + seconds, self._now() + seconds
        return self._kept

    def forget(self) -> None:
        """Have the next call fetch anew: what was given out turned out to be expired."""
        self._kept = None

    def _fetch(self, url: Url, deadline: float) -> tuple[Credentials, float]:
        """Return what the address gives, and for how many seconds it may be kept."""
        try:
            headers = [("authorization", token)] if (token := self._token()) else []
            answer = request("GET", url, headers, deadline=deadline)
            value = json.loads(answer.body)
            credentials = Credentials(
                value["AccessKeyId"], Secret(value["SecretAccessKey"]), Secret(value.get("Token", ""))
            )
            expires = nanoseconds(value.get("Expiration"))
        except (TransportError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CredentialsError(f"the container credentials could not be read ({type(error).__name__})") from None
        left = expires / 1e9 - self._now() - _REFRESH_BEFORE if expires else _KEPT
        return credentials, max(0.0, left)

    def _token(self) -> str:
        """Return what the address wants to see: a file's content, which changes (EKS), or what is set."""
        if self._aws.credentials_token_file:
            with open(self._aws.credentials_token_file, encoding="ascii") as file:
                return file.read(65536).strip()
        return self._aws.credentials_token.reveal()
