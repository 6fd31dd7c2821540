"""The OpenTelemetry API as the user's own: what their code does with it joins our trace, and ours joins theirs.

Nothing here is imported, and no `opentelemetry` package with it, before the user's code (or a library of theirs)
imports one. Then, by the module that it imports:

- `opentelemetry.context`: the context that the API shows has our current span and the baggage that arrived (`runtime`).
  There is one truth about the current span, `hoptrace.spans.current`; OpenTelemetry's context is a view of it.
- `opentelemetry.trace`: we stand behind the API's default provider (`provider`), and a span that it hands out is a view
  of a record of ours (`span`). `set_tracer_provider` is never called: it works once, and is the user's.
- a `TracerProvider` that the user sets: what ends there is handed to the collector as well (`sdk`).
- `opentelemetry.metrics`: we stand behind the API's default instruments (`meters`), and what was measured (`points`) is
  written when an invocation is over.
- `opentelemetry._logs`: we stand behind its default loggers (`loggers`), and a record is written when it is emitted.
  Providers that the user sets for either are flushed when an invocation is over (`flush`).

`patch` and `unpatch` are what the watch over imports calls.
"""

import sys
from importlib import import_module
from typing import Any

_ROOMS = {
    "opentelemetry.context": "runtime",
    "opentelemetry.trace": "provider",
    "opentelemetry.instrumentation.aws_lambda": "sdk",
    "opentelemetry.metrics": "meters",
    "opentelemetry._logs": "loggers",
}


def patch(module: Any) -> None:
    """The user's code has imported one of the modules above."""
    import_module(f"{__name__}.{_ROOMS[module.__name__]}").patch(module)


def unpatch() -> None:
    """Leave the API as it was found."""
    for room in dict.fromkeys(_ROOMS.values()):
        loaded = sys.modules.get(f"{__name__}.{room}")
        if loaded is not None:
            loaded.unpatch()
