"""What the runtime client's own error says of a result that Lambda did not take, in every shape that it has had."""

from typing import Any

import pytest
from awslambdaric import lambda_runtime_client

from hoptrace.posted import LARGEST, why


class Refusing:
    """The native client, as it answers a response that Lambda refuses."""

    def post_invocation_result(self, *_: Any) -> None:
        raise RuntimeError("Failed to post invocation response")


class Three:
    """How awslambdaric 3 posts a result."""

    def post_invocation_result(self, invoke_id: str, result_data: Any, content_type: str = "application/json") -> None:
        Refusing().post_invocation_result(invoke_id, result_data, content_type)


def _caught(client: Any, result: Any) -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        client.post_invocation_result("r1", result)
    return caught.value


@pytest.mark.parametrize("version", [3, 4])
def test_a_response_that_is_too_large_is_told_from_one_that_was_refused_for_another_reason(
    version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_runtime_client, "runtime_client", Refusing())
    client: Any = Three() if version == 3 else lambda_runtime_client.LambdaRuntimeClient("127.0.0.1:1")
    for large in ("x" * (LARGEST + 1), "ö" * (LARGEST // 2 + 1), b"x" * (LARGEST + 1)):
        assert why(_caught(client, large))[0] == "Function.ResponseSizeTooLarge"
    for small in ("x" * LARGEST, b""):
        assert why(_caught(client, small)) == ("RuntimeError", "Failed to post invocation response")


def test_a_process_that_ends_without_a_word_is_an_exit() -> None:
    assert why(None)[0] == "Runtime.ExitError"
