"""Functions that ship OpenTelemetry: which versions, and the trace that came of them."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hoptrace_local.sink import OtlpSink
from tests.clash import packages
from tests.collector.support import free_port
from tests.support.functions import Desk, function

VERSIONS = ("1.20.0", "1.30.0", "")
"""The oldest, one in between, and the newest that the package index has on the day of the install."""


def names(versions: tuple[str, ...] = VERSIONS) -> list[str]:
    return [version or "newest" for version in versions]


@contextlib.contextmanager
def shipping(
    folder: Path,
    source: str | Mapping[str, str],
    *requirements: str,
    environment: Mapping[str, str] | None = None,
    **more: Any,
) -> Iterator[Desk]:
    """The function `f` with these packages of its own."""
    name = "otel-" + "-".join(each.replace("opentelemetry-", "").replace("==", "") for each in requirements)[:120]
    found = packages.installed(name, requirements, packages.THIS, Path(sys.executable))
    packages.link(found, folder / "task")
    with function(folder, source, environment=environment, **more) as desk:
        yield desk


def pinned(distribution: str, version: str) -> str:
    return f"{distribution}=={version}" if version else distribution


def to_the_collector(sink: OtlpSink) -> dict[str, str]:
    """The function's own exporters send to the collector on the loopback, and the collector to the sink."""
    port = free_port()
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{port}",
        "HOPTRACE_OTLP_PORT": str(port),
        "HOPTRACE_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
    }


class Trace:
    """Ended spans by name; each name once."""

    def __init__(self, desk: Desk) -> None:
        self.records = [record for record in desk.records() if record["type"] in ("span", "end")]
        self.by_name: dict[str, dict[str, Any]] = {}
        for record in self.records:
            assert record["span"]["name"] not in self.by_name, record["span"]["name"]
            self.by_name[record["span"]["name"]] = record

    def __getitem__(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.by_name[name]["span"]
        return found

    def parent(self, name: str) -> str | None:
        """The name of its parent, `None` for a root, "?" where nobody has it."""
        wanted = self[name].get("parent_id")
        if not wanted:
            return None
        return next((n for n, r in self.by_name.items() if r["span"]["span_id"] == wanted), "?")

    def tree(self) -> dict[str, str | None]:
        return {name: self.parent(name) for name in self.by_name if name != "init"}

    def traces(self) -> set[str]:
        return {record["span"]["trace_id"] for record in self.records}
