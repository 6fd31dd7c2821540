"""For tests of functions and of hoptrace itself: a recorder, a clock moved by hand, Lambda's context object.

from hoptrace.testing import LambdaContext, recorder

with recorder() as recorded:
    handler({"Records": []}, LambdaContext())
assert [span.name for span in recorded.spans] == ["my-function"]
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import tempfile
import time

from . import clients, entry, guard, settings
from .spans import Span, on_end
from .spans.exceptions import on_locals, on_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


class Recorder:
    """What was recorded.

    Attributes:
        spans: every ended span but the invocations' own, in the order of their ends.
    """

    def __init__(self, run_dir: pathlib.Path) -> None:
        self.spans: list[Span] = []
        self._run_dir = run_dir

    @property
    def records(self) -> list[dict[str, Any]]:
        """Every record as it was handed to the collector, invocations included (`docs/architecture.md`)."""
        try:
            text = (self._run_dir / "records.jsonl").read_text("ascii")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines() if line]

    def ended(self) -> list[dict[str, Any]]:
        """Every ended span in the records' shape, invocations included."""
        return [record["span"] for record in self.records if record["type"] in ("span", "end")]


@contextlib.contextmanager
def recorder(environ: Mapping[str, str] | None = None) -> Iterator[Recorder]:
    """Record what is traced inside the block, in a fresh session of its own; errors of hoptrace itself are raised.

    Handlers decorated before the block keep the session that they were decorated in. Libraries that the block had
    patched are as before after it.

    Args:
        environ: the environment that the settings are read from; by default an empty one.
    """
    # A thread that the block has left behind may still write a record while the folder goes.
    with tempfile.TemporaryDirectory(prefix="hoptrace-test-", ignore_cleanup_errors=True) as folder:
        run_dir = pathlib.Path(folder) / "run"
        recorded = Recorder(run_dir)
        knobs = settings.Settings({"OTEL_TRACES_EXPORTER": "none", "HOPTRACE_RUN_DIR": str(run_dir), **(environ or {})})
        patched = clients.installed()
        before_session, loud = entry.replace_session(None), guard.LOUD
        settings.use(knobs)
        guard.LOUD = True
        session = entry.session()
        before_sink = on_end(None)

        def sink(span: Span) -> None:
            recorded.spans.append(span)
            if session is not None:
                session.emit(span)

        on_end(sink)
        try:
            yield recorded
        finally:
            on_end(before_sink)
            on_text(None)
            on_locals(None)
            guard.LOUD = loud
            settings.use(None)
            entry.replace_session(before_session)
            if session is not None:
                session.close()
            if not patched:
                clients.uninstall()


class LambdaContext:
    """What Lambda passes as `context` ("AWS Lambda context object in Python").

    Args:
        remaining: milliseconds until the timeout, counted from the making of this object.
    """

    def __init__(
        self,
        function_name: str = "my-function",
        request_id: str = "00000000-0000-4000-8000-000000000000",
        version: str = "$LATEST",
        alias: str = "",
        remaining: int = 3000,
    ) -> None:
        self.aws_request_id = request_id
        self.function_name = function_name
        self.function_version = version
        self.memory_limit_in_mb = "128"
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = "2026/01/01/[$LATEST]00000000000000000000000000000000"
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
        if alias:
            self.invoked_function_arn += f":{alias}"
        self.client_context = None
        self.identity = None
        self.tenant_id = None
        self._deadline = time.time() * 1000 + remaining

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left."""
        return max(0, int(self._deadline - time.time() * 1000))


class Clock:
    """Nanoseconds since the epoch, moved by hand."""

    def __init__(self, now: int = 1_790_000_000_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * 1e9)
