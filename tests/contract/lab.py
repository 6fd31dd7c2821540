"""Where the contract is tested: an emulated AWS behind the strict front, and clients that are traced or are not."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from hoptrace import clients, testing
from hoptrace.spans import Span
from hoptrace_local.strict import StrictFront
from tests.triggers.real_aws import REGION, RealAws

# What Lambda tells a function of its own trace: the field after Sampled must survive everywhere.
LAMBDAS = "Root=1-00000001-000000000000000000000001;Parent=0000000000000001;Sampled=0;Lineage=1:e547cb94:0"
FUNCTION = {"AWS_LAMBDA_FUNCTION_NAME": "sender"}

# Differ from one call to the next whatever is sent.
_EACH_TIME = frozenset({"x-amz-date", "authorization", "amz-sdk-invocation-id", "date", "x-amz-content-sha256"})

_TOKEN = re.compile(rb'"ClientRequestToken": ?"[^"]*"')


class Sent:
    """What became of one traced call."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.error: Exception | None = None
        self.spans: list[Span] = []

    @property
    def span(self) -> Span:
        """The call's own span: the one that ended last."""
        return self.spans[-1]

    @property
    def refused(self) -> bool:
        """Whether AWS took nothing of it."""
        answer = self.answer or {}
        failed = answer.get("Failed") or [one for one in answer.get("Entries", []) if one.get("ErrorCode")]
        return self.error is not None or (bool(failed) and not answer.get("Successful"))


class Lab:
    """The emulator, its front and the ways through it that tests have asked for so far."""

    def __init__(self, folder: Path) -> None:
        self.aws = RealAws(folder)
        self.front = StrictFront(self.aws.url)
        # One for all: it reads each service's model once.
        self._session = boto3.session.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
        )
        self._names = itertools.count()
        self._ways: dict[object, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for way in self._ways.values():
            way.close()
        self.front.close()
        self.aws.close()

    def name(self, word: str = "n") -> str:
        """A name that nothing here has yet."""
        return f"{word}-{next(self._names)}"

    def way(self, kind: Any) -> Any:
        """The way of this kind; made when first asked for."""
        if kind not in self._ways:
            self._ways[kind] = kind(self)
        return self._ways[kind]

    def client(self, service: str) -> Any:
        """A client that speaks with the emulator through the front."""
        return self._session.client(
            service,
            endpoint_url=self.front.url,
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=30,
                s3={"addressing_style": "path"},
                inject_host_prefix=False,
                proxies={},
            ),
        )


@contextlib.contextmanager
def in_lambda() -> Iterator[None]:
    """What botocore sees in a Lambda function."""
    given = {**FUNCTION, "_X_AMZN_TRACE_ID": LAMBDAS}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def traced(environ: dict[str, str] | None = None) -> Iterator[testing.Recorder]:
    """As in a Lambda function that hoptrace is attached to, with these settings."""
    with in_lambda(), testing.recorder({**FUNCTION, **(environ or {})}) as recorder:
        clients.install()
        yield recorder


def call(client: Any, operation: str, params: dict[str, Any], recorder: testing.Recorder) -> Sent:
    """Make one traced call, and see that nothing of what the user handed over was changed."""
    before = copy.deepcopy(params)
    objects = _identities(params)
    done = Sent()
    count = len(recorder.spans)
    try:
        done.answer = _method(client, operation)(**params)
    except Exception as error:
        done.error = error
    done.spans = recorder.spans[count:]
    assert params == before, "the user's parameters are other ones than before the call"
    assert _identities(params) == objects, "an object in the user's parameters was exchanged"
    return done


class _Enough(Exception):
    """The request was seen; it need not be sent."""


def on_the_wire(client: Any, operation: str, params: dict[str, Any]) -> tuple[Any, ...]:
    """What a call would send, without what differs each time."""
    seen: list[Any] = []

    def look(request: Any, **_: Any) -> None:
        seen.append(request)
        raise _Enough

    client.meta.events.register("before-send", look)
    try:
        with contextlib.suppress(_Enough):
            _method(client, operation)(**copy.deepcopy(params))
    finally:
        client.meta.events.unregister("before-send", look)
    (request,) = seen
    headers = {name.lower(): _text(value) for name, value in request.headers.items() if name.lower() not in _EACH_TIME}
    body = request.body.read() if hasattr(request.body, "read") else request.body
    # Of the query protocol the body is text.
    sent = body.encode() if isinstance(body, str) else body or b""
    return request.method, request.url, headers, _TOKEN.sub(b"", sent)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _method(client: Any, operation: str) -> Any:
    return getattr(client, next(name for name, api in client.meta.method_to_api_mapping.items() if api == operation))


def _identities(value: Any) -> list[int]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [id(value), *(one for child in children for one in _identities(child))]
