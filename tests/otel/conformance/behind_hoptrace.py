"""A pytest plugin for OpenTelemetry's own tests: where they make an SDK `TracerProvider`, they get hoptrace's.

Loaded by `-p` in a process of its own. `HOPTRACE_EXCLUDE` names a file of node ids, one a line, that are not run.
"""

import os
from typing import Any

import pytest

from hoptrace import guard, settings
from hoptrace.clients.imports import Watch

guard.LOUD = True
settings.use(settings.Settings({"OTEL_TRACES_EXPORTER": "none", "HOPTRACE_RUN_DIR": "/nonexistent"}))


def _patch(module: Any) -> None:
    from hoptrace import otel

    otel.patch(module)


_WATCHED = ("opentelemetry.context", "opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")
Watch(dict.fromkeys(_WATCHED, _patch)).start()

from opentelemetry.sdk import trace as sdk  # noqa: E402

from hoptrace.otel import provider as ours  # noqa: E402
from hoptrace.otel.watcher import watcher  # noqa: E402


class Provider(ours.Provider):
    """Ours, made as the SDK's is made; its limits and its resource become the process's."""

    def __init__(
        self,
        sampler: Any = None,
        resource: Any = None,
        shutdown_on_exit: bool = True,
        active_span_processor: Any = None,
        id_generator: Any = None,
        span_limits: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(proxies=False)
        environ = dict(os.environ)
        for name, limit in (
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "max_span_attributes"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "max_event_attributes"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "max_link_attributes"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "max_events"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "max_links"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "max_span_attribute_length"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "max_attribute_length"),
        ):
            value = getattr(span_limits, limit, None)
            if value is not None:
                environ[name] = str(value)
        knobs = settings.Settings(environ)
        if resource is not None:
            object.__setattr__(knobs, "resource", dict(resource.attributes))
        settings.use(knobs)
        watcher().shutdown()
        if active_span_processor is not None:
            self.add_span_processor(active_span_processor)


sdk.TracerProvider = Provider  # type: ignore[misc, assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    with open(os.environ["HOPTRACE_EXCLUDE"], encoding="utf-8") as file:
        excluded = {line.strip() for line in file}
    gone = [item for item in items if item.nodeid in excluded]
    items[:] = [item for item in items if item.nodeid not in excluded]
    config.hook.pytest_deselected(items=gone)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Some tests reload the SDK's module."""
    sdk.TracerProvider = Provider  # type: ignore[misc, assignment]
