"""The address at which a restored environment gets credentials: those of its variables would have expired long ago.

Lambda developer guide, "Activating and managing Lambda SnapStart": with SnapStart the runtime uses container
credentials, `AWS_CONTAINER_CREDENTIALS_FULL_URI` and `AWS_CONTAINER_AUTHORIZATION_TOKEN`, in place of access keys.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping

from aiohttp import web

from . import answers
from .invocation import iso_time

PATH = "/2021-04-23/credentials"
#: Seconds for which what is handed out is good.
_GOOD_FOR = 3600.0


def variables(address: str, token: str) -> dict[str, str]:
    """What the environment's processes are told of it."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{address}{PATH}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }


def answer(request: web.BaseRequest, token: str, credentials: Mapping[str, str]) -> web.Response:
    """The credentials, for who has the token."""
    if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), token.encode()):
        return answers.error(403, "AccessDenied", "the authorization token is another one")
    return answers.as_json(
        200,
        {
            "AccessKeyId": credentials["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": credentials["AWS_SECRET_ACCESS_KEY"],
            "Token": credentials["AWS_SESSION_TOKEN"],
            "Expiration": iso_time(time.time() + _GOOD_FOR),
        },
    )
