"""SnapStart: what is done before the image of this process is taken, and first thing after it runs again.

One image becomes many environments, months later. Whatever of ours is in it would be in each of them: records that were
not sent would be sent by all, and a time that was taken before would be one of another life. So the records go out
before, and what is left of them is thrown away and counted; afterwards times, files and the environment's name are new.
Ids need nothing: they come from the operating system.

By the runtime hooks of `snapshot_restore_py`, which the runtime client runs. Hooks before a snapshot run in the reverse
order of registration and those after it in order: ours are the first to be registered, so the user's hooks are recorded
before, and find everything renewed after.
"""

from __future__ import annotations

import os
import time

from .guard import guard, say
from .spans.span import observer

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from typing import Any

    from .send import Outbox

ASK = b"s"
"""The bell's byte for: send all that there is, an image is about to be taken."""

_PATIENCE = 5.0
"""Seconds for the collector to have sent what was recorded: nobody waits for a version to be published."""


def prepare(session: Any) -> None:
    """Register the hooks; where the runtime has none, nothing would run them either."""
    try:
        from snapshot_restore_py import register_after_restore, register_before_snapshot  # type: ignore[import-untyped]
    except ImportError:
        return
    register_before_snapshot(_before, session)
    register_after_restore(_after, session)


def _before(session: Any) -> None:
    with guard("snapshot.before"):
        before(session)


def _after(session: Any) -> None:
    with guard("snapshot.after"):
        after(session)


def before(session: Any, patience: float = _PATIENCE) -> None:
    """Send what was recorded until now, and leave nothing of it."""
    session.invocations.rests()
    watching = observer()
    if watching is not None:
        watching.over(0)
    outbox: Outbox = session.outbox
    outbox.confess()
    if session.direct is not None:
        session.direct.over(0)
    elif session.bell is not None and outbox.waits_for_reader():
        session.bell.ring(ASK)
        until = time.monotonic() + patience
        while outbox.is_current() and time.monotonic() < until:
            time.sleep(0.005)
    outbox.follow()
    lost = outbox.empty()
    if lost:
        say(f"{lost} records of the initialisation could not be sent before the snapshot, and are dropped")


def after(session: Any) -> None:
    """Begin anew, before the user's own hooks run."""
    session.started = time.time_ns()
    resource = session.settings.resource
    # A SnapStart function is not told its log stream, and an environment needs a name of its own.
    if not session.settings.environ.get("AWS_LAMBDA_LOG_STREAM_NAME"):
        resource["faas.instance"] = os.urandom(16).hex()
    session.outbox.follow()
    session.invocations.restored()
    watching = observer()
    if watching is not None:
        watching.restored()
