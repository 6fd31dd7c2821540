"""Fetches rules from where a reference says: SSM, S3, or AppConfig's extension beside this one."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hoptrace_collector.address import Url
from hoptrace_collector.alert.sources import LONGEST
from hoptrace_collector.aws.api import Api
from hoptrace_collector.aws.credentials import CredentialsError, CredentialsSource
from hoptrace_collector.aws.references import parse_reference
from hoptrace_collector.aws.sign import amz_date, sign
from hoptrace_collector.connections import Connections
from hoptrace_collector.settings import Aws
from hoptrace_collector.transport import TransportError

if TYPE_CHECKING:
    from hoptrace_collector.proxies import Proxies

__all__ = ["Remote", "Unfetched"]

KEPT_FOR = 3600.0
_AGAIN_AFTER = 60.0
_APPCONFIG = Url("http", "localhost", 2772, "/")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


class Unfetched(Exception):
    """The rules could not be fetched; the text says why and what to do."""


class Remote:
    """The rules at `reference`, fetched when they are an hour old; `now` gives seconds since the epoch."""

    def __init__(
        self,
        reference: str,
        aws: Aws,
        proxies: "Proxies | None" = None,
        *,
        now: Callable[[], float] = time.time,
        appconfig: Url = _APPCONFIG,
    ) -> None:
        self.reference = reference
        self._aws = aws
        self._proxies = proxies
        self._now = now
        self._appconfig = appconfig
        self._due = 0.0

    @property
    def due(self) -> bool:
        """Whether they are to be fetched now."""
        return self._now() >= self._due

    def fetch(self, deadline: float) -> str:
        """Return the text before `deadline` (monotonic); raises Unfetched, and is due again in a minute then."""
        self._due = self._now() + _AGAIN_AFTER
        if self.reference.startswith("s3://"):
            text = self._from_s3(deadline)
        elif self.reference.startswith("appconfig:"):
            text = self._from_appconfig(deadline)
        else:
            text = self._from_ssm(deadline)
        self._due = self._now() + KEPT_FOR
        return text

    def _from_ssm(self, deadline: float) -> str:
        found = parse_reference(self.reference)
        if found is None or found.service != "ssm":
            raise Unfetched(
                f"{self.reference[:200]} is none of ssm:/NAME, arn:aws:ssm:…:parameter/NAME, s3://BUCKET/KEY and "
                "appconfig:APPLICATION/ENVIRONMENT/PROFILE"
            )
        region = found.region or self._aws.region
        url = self._aws.endpoint("ssm", region)
        api = Api("ssm", url, region, CredentialsSource(self._aws), proxies=self._proxies, now=self._now)
        answer = api.call("AmazonSSM.GetParameter", {"Name": found.name, "WithDecryption": True}, deadline)
        if answer.error == "AccessDeniedException" or answer.status == 403:
            raise Unfetched(f"the role needs the permission ssm:GetParameter on {found.name} ({answer.message})")
        parameter = answer.body.get("Parameter")
        value = parameter.get("Value") if isinstance(parameter, dict) else None
        if answer.status != 200 or not isinstance(value, str):
            raise Unfetched(f"{found.name} could not be read by ssm:GetParameter ({answer.error} {answer.message})")
        return value

    def _from_s3(self, deadline: float) -> str:
        bucket, _, key = self.reference.removeprefix("s3://").partition("/")
        if not bucket or not key:
            raise Unfetched(f"{self.reference[:200]} is not s3://BUCKET/KEY")
        base = self._aws.endpoint("s3")
        target = f"{base.target.rstrip('/')}/{bucket}/" + _encoded(key)
        url = base._replace(target=target)
        try:
            headers = sign(
                CredentialsSource(self._aws).get(deadline),
                service="s3",
                region=self._aws.region or "us-east-1",
                url=url,
                headers=[("x-amz-content-sha256", _EMPTY)],
                body=b"",
                date=amz_date(self._now()),
                method="GET",
            )
        except CredentialsError as error:
            raise Unfetched(f"{self.reference[:200]}: {error}") from None
        return self._get(url, headers, deadline, f"the role needs the permission s3:GetObject on {bucket}/{key}")

    def _from_appconfig(self, deadline: float) -> str:
        parts = self.reference.removeprefix("appconfig:").split("/")
        if len(parts) != 3 or not all(parts):
            raise Unfetched(f"{self.reference[:200]} is not appconfig:APPLICATION/ENVIRONMENT/PROFILE")
        names = [_encoded(part) for part in parts]
        path = f"/applications/{names[0]}/environments/{names[1]}/configurations/{names[2]}"
        advice = "AppConfig's Lambda extension is to be a layer of the function, and the role to be allowed to read it"
        return self._get(self._appconfig._replace(target=path), [], deadline, advice)

    def _get(self, url: Url, headers: list[tuple[str, str]], deadline: float, advice: str) -> str:
        proxy = self._proxies.of(url) if self._proxies is not None else None
        try:
            response = Connections(now=self._now).request("GET", url, headers, b"", deadline=deadline, proxy=proxy)
        except (TransportError, OSError) as error:
            raise Unfetched(f"{self.reference[:200]} could not be fetched ({error}); {advice}") from None
        if response.status != 200:
            raise Unfetched(f"{self.reference[:200]} could not be fetched (HTTP {response.status}); {advice}")
        if len(response.body) > LONGEST:
            raise Unfetched(f"{self.reference[:200]} has more than {LONGEST} bytes")
        return response.body.decode("utf-8", "replace")


# SHA-256 of nothing, which S3 wants to be told.
_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _encoded(text: str) -> str:
    """Percent-encode a path, once: S3 is signed by the path as it is sent."""
    return "".join(
        letter if letter in _PLAIN else "".join(f"%{byte:02X}" for byte in letter.encode()) for letter in text
    )
