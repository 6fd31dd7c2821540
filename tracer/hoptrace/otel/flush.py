"""Metrics and logs of a provider that the user set: flushed when the response is out, invocation by invocation.

Their readers and processors send by the clock, in a thread that is frozen with the environment, so that what was
measured last would come minutes late or never.
"""

import sys
from typing import Any

from .watcher import watcher

_PROVIDERS = {
    "opentelemetry.metrics": ("opentelemetry.metrics._internal", "_METER_PROVIDER"),
    "opentelemetry._logs": ("opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
}


def patch(module: Any) -> None:
    """The API of metrics or logs has been imported: attend to whichever provider will be set there."""
    home, name = _PROVIDERS[module.__name__]

    def flush() -> Any:
        return getattr(getattr(sys.modules.get(home), name, None), "force_flush", None)

    watcher().flush_by(module, flush)


def unpatch() -> None:
    """Nothing was changed; the watcher goes with the spans."""
