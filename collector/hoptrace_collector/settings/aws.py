"""What is needed to speak to AWS: where, and as whom."""

from collections.abc import Mapping
from typing import NamedTuple

from hoptrace_collector.address import Url, aws_endpoint
from hoptrace_collector.settings.lookup import Lookup
from hoptrace_collector.settings.secret import Secret

__all__ = ["Aws", "read_aws"]


class Aws(NamedTuple):
    """The function's region and credentials, and the addresses of services where they are not AWS's own."""

    region: str = ""
    access_key: str = ""
    secret_key: Secret = Secret("")
    session_token: Secret = Secret("")
    credentials_uri: str = ""
    credentials_token: Secret = Secret("")
    credentials_token_file: str = ""
    snap_start: bool = False
    endpoints: tuple[tuple[str, Url], ...] = ()

    def endpoint(self, service: str, region: str = "") -> Url:
        """Return the address of a service, by what AWS calls it in addresses, in a region or in the function's own."""
        return dict(self.endpoints).get(service) or aws_endpoint(service, region or self.region or "us-east-1")


# The services that are called, by the names that they have in addresses and in variables (SDKs and Tools Reference
# Guide, "Service-specific endpoints").
_SERVICES = {
    "events": "EVENTBRIDGE",
    "s3": "S3",
    "kinesis": "KINESIS",
    "secretsmanager": "SECRETS_MANAGER",
    "ssm": "SSM",
}


def read_aws(env: Mapping[str, str], get: Lookup) -> Aws:
    """Read what Lambda sets, or ECS, or EKS, or a user for an emulator."""
    everywhere = get.url("AWS_ENDPOINT_URL")
    endpoints = []
    for service, name in _SERVICES.items():
        url = get.url(f"AWS_ENDPOINT_URL_{name}") or everywhere
        if url is not None:
            endpoints.append((service, url))
    return Aws(
        region=env.get("AWS_REGION", "") or env.get("AWS_DEFAULT_REGION", ""),
        access_key=env.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=Secret(env.get("AWS_SECRET_ACCESS_KEY", "")),
        session_token=Secret(env.get("AWS_SESSION_TOKEN", "")),
        credentials_uri=_credentials_uri(env),
        credentials_token=Secret(env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")),
        credentials_token_file=env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", ""),
        snap_start=env.get("AWS_LAMBDA_INITIALIZATION_TYPE", "") == "snap-start",
        endpoints=tuple(endpoints),
    )


def _credentials_uri(env: Mapping[str, str]) -> str:
    """Return the address of container credentials; a relative one is ECS's, whose host never changes."""
    relative = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
    return f"http://169.254.170.2{relative}" if relative else env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
