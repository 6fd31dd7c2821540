"""boto3 and botocore: every call of every client passes one method, and that is what is patched.

`BaseClient._make_api_call` is behind clients, resources, paginators and waiters alike, and not behind presigned URLs,
which call nobody. The patch is a plain function: importing wrapt would cost a cold start more than everything here.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from . import headers
from .calls import Call

_MARK = "__hoptrace_patch__"

_patched: tuple[Any, Any, Any] | None = None  # the class, its own method, ours
_on = False


def patch(module: Any) -> None:
    """Trace the clients of this `botocore.client`; a class that is traced already is left alone."""
    global _on, _patched
    base = module.BaseClient
    _on = True
    if _is_ours(base._make_api_call):
        return
    original = base._make_api_call
    ours = _traced(original)
    base._make_api_call = ours
    _patched = (base, original, ours)


def unpatch() -> None:
    """Undo it. Where somebody has wrapped our function meanwhile it stays in their chain, and does nothing."""
    global _on, _patched
    _on = False
    if _patched is not None:
        base, original, ours = _patched
        if base.__dict__.get("_make_api_call") is ours:
            base._make_api_call = original
        _patched = None
    headers.leave()


def _traced(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        call = None
        params = api_params
        if _on:
            with guard("clients.botocore.begin"):
                call = Call(self, operation_name, api_params)
        if call is None:
            return original(self, operation_name, api_params)
        with guard("clients.botocore.inject"):
            headers.attend(self)
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

    setattr(_make_api_call, _MARK, True)
    return _make_api_call


def _is_ours(function: Any) -> bool:
    """Whether our function is somewhere in this chain of wrappers."""
    for _ in range(32):
        if getattr(function, "__dict__", {}).get(_MARK):
            return True
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            return False
        function = inner
    return False
