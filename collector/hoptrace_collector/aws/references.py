"""Reads secrets that settings only refer to: in Secrets Manager, or in SSM's Parameter Store.

A reference is the end of a value, all of it or after a space:

    arn:aws:secretsmanager:eu-west-1:123456789012:secret:backend-AbCdEf
    arn:aws:secretsmanager:eu-west-1:123456789012:secret:backend-AbCdEf#api-key     a key of a secret that is JSON
    arn:aws:ssm:eu-west-1:123456789012:parameter/backend/api-key
    ssm:/backend/api-key                                                            in the function's own region
    Bearer arn:aws:secretsmanager:…
"""

import binascii
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from hoptrace_collector.aws.api import Answer, Api
from hoptrace_collector.aws.credentials import CredentialsSource
from hoptrace_collector.settings import Aws

if TYPE_CHECKING:
    from hoptrace_collector.proxies import Proxies

__all__ = ["Reference", "Resolver", "Unresolved", "parse_reference", "resolver_for"]

KEPT_FOR = 3600.0
_AGAIN_AFTER = 60.0

_OPERATIONS = {
    "secretsmanager": ("secretsmanager.GetSecretValue", "secretsmanager:GetSecretValue"),
    "ssm": ("AmazonSSM.GetParameter", "ssm:GetParameter"),
}


class Reference(NamedTuple):
    """Where a secret lies: `name` is its ARN or path, `region` empty for the function's own, `key` one in its JSON.

    `prefix` is what stands before it in the value, and goes before what it stands for.
    """

    prefix: str
    service: str
    name: str
    region: str
    key: str = ""

    def __str__(self) -> str:
        return self.name


class Unresolved(Exception):
    """A reference could not be read; the text says why and what to do, and holds no secret."""


class _Kept(NamedTuple):
    value: str
    until: float


def parse_reference(value: str) -> Reference | None:
    """Return the reference in a value; None for a value that is none."""
    before, space, text = value.rpartition(" ")
    prefix = before + space
    if text.startswith("ssm:/"):
        return Reference(prefix, "ssm", text[4:], "")
    parts = text.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or not parts[3]:
        return None
    if parts[2] == "ssm" and parts[5].startswith("parameter/"):
        return Reference(prefix, "ssm", text, parts[3])
    if parts[2] == "secretsmanager" and parts[5].startswith("secret:"):
        name, _, key = text.partition("#")
        return Reference(prefix, "secretsmanager", name, parts[3], key)
    return None


class Resolver:
    """Looks references up and keeps what it finds for an hour; `api(service, region)` gives the service to ask.

    `now` gives seconds since the epoch: another clock would stand still in a freeze.
    """

    def __init__(self, api: Callable[[str, str], Api], *, now: Callable[[], float] = time.time) -> None:
        self._api = api
        self._now = now
        self._kept: dict[Reference, _Kept] = {}

    def resolve(self, reference: Reference, deadline: float, *, anew: bool = False) -> str:
        """Return the value with what the reference stands for, before `deadline` (monotonic); raises Unresolved.

        `anew`: whatever is kept. What cannot be read again after an hour goes on being what it was.
        """
        kept = self._kept.get(reference)
        if kept is not None and not anew and self._now() < kept.until:
            return kept.value
        try:
            value = reference.prefix + self._fetch(reference, deadline)
        except Unresolved:
            if kept is None:
                raise
            self._kept[reference] = kept._replace(until=self._now() + _AGAIN_AFTER)
            return kept.value
        self._kept[reference] = _Kept(value, self._now() + KEPT_FOR)
        return value

    def _fetch(self, reference: Reference, deadline: float) -> str:
        target, action = _OPERATIONS[reference.service]
        wanted: dict[str, Any] = (
            {"SecretId": reference.name}
            if reference.service == "secretsmanager"
            else {"Name": reference.name, "WithDecryption": True}
        )
        answer = self._api(reference.service, reference.region).call(target, wanted, deadline)
        if answer.status != 200:
            raise Unresolved(_explained(reference, action, answer))
        text = _secret(answer) if reference.service == "secretsmanager" else _parameter(answer)
        if text is None:
            raise Unresolved(f"{reference} has no value that is a text")
        if reference.key:
            text = _of_json(reference, text)
        text = text.strip()
        if not text or not all(" " <= c <= "~" or "\xa0" <= c <= "\xff" for c in text):
            raise Unresolved(f"{reference} is empty, or holds a character that a header cannot have")
        return text


def _explained(reference: Reference, action: str, answer: Answer) -> str:
    if answer.error == "AccessDeniedException" or answer.status == 403:
        key = " and kms:Decrypt on its key" if "kms" in answer.message.lower() else ""
        return f"the role needs the permission {action} on {reference}{key} ({answer.message})"
    if answer.error in ("ResourceNotFoundException", "ParameterNotFound"):
        return f"there is no {reference} in the account and region of its name"
    said = answer.message if not answer.error else f"{answer.error}: {answer.message}"
    return f"{reference} could not be read by {action} ({said})"


def _secret(answer: Answer) -> str | None:
    text = answer.body.get("SecretString")
    if isinstance(text, str):
        return text
    try:
        return binascii.a2b_base64(answer.body["SecretBinary"]).decode()
    except (KeyError, TypeError, ValueError):
        return None


def _parameter(answer: Answer) -> str | None:
    parameter = answer.body.get("Parameter")
    value = parameter.get("Value") if isinstance(parameter, dict) else None
    return value if isinstance(value, str) else None


def _of_json(reference: Reference, text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    value = found.get(reference.key) if isinstance(found, dict) else None
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Unresolved(f"{reference} is no JSON object with a text under {reference.key!r}")


def resolver_for(aws: Aws, proxies: "Proxies | None" = None) -> Callable[[str, float, bool], str]:
    """Return what gives the value that a text stands for: `resolve(text, deadline, anew)`; it raises Unresolved."""
    credentials = CredentialsSource(aws)
    apis: dict[tuple[str, str], Api] = {}

    def api(service: str, region: str) -> Api:
        if (service, region) not in apis:
            url = aws.endpoint(service, region)
            apis[service, region] = Api(service, url, region or aws.region, credentials, proxies=proxies)
        return apis[service, region]

    resolver = Resolver(api)

    def resolve(text: str, deadline: float, anew: bool) -> str:
        reference = parse_reference(text)
        return text if reference is None else resolver.resolve(reference, deadline, anew=anew)

    return resolve
