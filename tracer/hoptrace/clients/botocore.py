"""boto3 and botocore: every call of every client passes one method, and that is what is patched.

`BaseClient._make_api_call` is behind clients, resources, paginators and waiters alike, and not behind presigned URLs,
which call nobody.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from .begun import begun, leave
from .method import Method


def patch(module: Any) -> None:
    """Trace the clients of this `botocore.client`."""
    _CALL.patch(module.BaseClient)


def unpatch() -> None:
    """Undo it."""
    _CALL.unpatch()
    leave()


def _traced(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        call = None
        params = api_params
        if _CALL.on:
            with guard("clients.botocore.begin"):
                call = begun(self, operation_name, api_params)
        if call is None:
            return original(self, operation_name, api_params)
        with guard("clients.botocore.inject"):
            params = call.injected(api_params)
        try:
            response = original(self, operation_name, params)
        except BaseException as error:
            with guard("clients.botocore.end"):
                call.failed(error)
            raise
        with guard("clients.botocore.end"):
            call.done(response)
        return response

    return _make_api_call


_CALL = Method("_make_api_call", _traced)
