"""Invocations that no tracer of ours has seen: told once, and only by whoever knows most."""

from __future__ import annotations

import os
from pathlib import Path

from hoptrace_collector.model import Origin
from hoptrace_collector.told import Invoke, RuntimeDone, Started
from hoptrace_collector.unattached import Unattached, sends_itself

SECOND = 10**9
ORIGIN = Origin.of({"faas.name": "web"}, ("hoptrace", ""))
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:web"
HEADER = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=0"


def _one(seen: int = 0) -> Unattached:
    unattached = Unattached(os.urandom)
    unattached.invoked(Invoke("r1", ARN, 0, HEADER, seen))
    return unattached


def test_an_invocation_lasts_from_start_to_done_and_has_its_tenant() -> None:
    unattached = _one(seen=5 * SECOND)
    unattached.started(Started("r1", 6 * SECOND, "blue"))
    made = unattached.done(RuntimeDone("r1", "success", "", 8 * SECOND), ORIGIN)
    assert made is not None
    ((span,), invocation) = made
    assert (span.name, span.start, span.end) == ("web", 6 * SECOND, 8 * SECOND)
    assert span.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert span.attributes["aws.lambda.tenant_id"] == "blue"
    assert (invocation.outcome, invocation.request_id) == ("ok", "r1")
    assert not unattached.waits
    assert unattached.done(RuntimeDone("r1", "success", "", 8 * SECOND), ORIGIN) is None


def test_what_lambda_broke_off_or_never_timed_is_not_made_up() -> None:
    assert _one(seen=1).done(RuntimeDone("r1", "timeout", "", SECOND), ORIGIN) is None
    assert _one(seen=1).done(RuntimeDone("r1", "success", "", 0), ORIGIN) is None
    assert _one().done(RuntimeDone("r1", "success", "", SECOND), ORIGIN) is None
    assert _one(seen=1).done(RuntimeDone("another", "success", "", SECOND), ORIGIN) is None


def test_what_another_instrumentation_has_told_of_is_left_to_it() -> None:
    unattached = _one(seen=1)
    unattached.told_by_others(b"\x0a\x12faas.invocation_id\x12\x04\x0a\x02r2")
    assert unattached.waits
    unattached.told_by_others(b"a page that mentions r1")
    assert unattached.waits
    unattached.told_by_others(b"\x0a\x12faas.invocation_id\x12\x04\x0a\x02r1")
    assert not unattached.waits


def test_a_tracer_that_sends_by_itself_is_known_by_its_files(tmp_path: Path) -> None:
    assert not sends_itself(str(tmp_path / "missing"))
    (tmp_path / "records.jsonl").touch()
    assert not sends_itself(str(tmp_path))
    (tmp_path / "direct-0123456789ab.0.0.jsonl").touch()
    assert sends_itself(str(tmp_path))


def test_however_many_begin_only_so_many_are_kept() -> None:
    unattached = Unattached(os.urandom)
    for number in range(10_000):
        unattached.invoked(Invoke(f"r{number}", ARN, 0, "", 1))
        unattached.started(Started(f"r{number}", 1))
    assert unattached.done(RuntimeDone("r0", "success", "", SECOND), ORIGIN) is None
    assert unattached.done(RuntimeDone("r9999", "success", "", SECOND), ORIGIN) is not None
