"""Every metric that the collector makes is a row of docs/metrics.md, which is written from the table in the code."""

import importlib.util
import re
from types import ModuleType

from hoptrace_collector.metrics_table import OWN, ROWS
from hoptrace_collector.pipeline.flush import SIGNALS
from tests.support.parts import REPOSITORY

COLLECTOR = REPOSITORY / "collector" / "hoptrace_collector"


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_page", REPOSITORY / "docs" / "metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_written_from_the_table() -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text("utf-8")
    assert page == _writer().page(page), "run: make docs"
    assert all(f"\n| `{row.name}` | " in page for row in (*ROWS, *OWN))


def test_each_metric_has_one_row_and_a_kind_that_fits() -> None:
    names = [row.name for row in (*ROWS, *OWN)]
    assert len(names) == len(set(names))
    for row in ROWS:
        assert row.name.startswith(("faas.", "hoptrace.")), row.name
        assert row.instrument in ("sum", "gauge", "histogram")
        assert bool(row.bounds) == (row.instrument == "histogram"), row.name
        assert row.description.endswith(".")
        assert row.source


def test_what_the_collector_counts_of_itself_is_in_the_table() -> None:
    source = "".join(path.read_text("utf-8") for path in COLLECTOR.rglob("*.py"))
    kinds = set(re.findall(r'counters\.add\(\s*"([a-z_]+)"[,)]', source))
    assert kinds >= {"errors", "otlp_refused", "telemetry_skipped"}, "the pattern finds them"
    kinds |= {signal.counter(kind) for signal in SIGNALS for kind in ("received", "sent", "failed", "dropped")}
    assert kinds <= {row.name.removeprefix("hoptrace.collector.") for row in OWN}


def test_what_is_measured_is_in_the_table() -> None:
    named = set(re.findall(r'"((?:faas|hoptrace)\.[a-z_.]+)"', (COLLECTOR / "metrics.py").read_text("utf-8")))
    attributes = {name for row in ROWS for name in row.attributes}
    rows = {row.name for row in ROWS}
    assert rows <= named, "each is made"
    assert named - rows - attributes <= {"faas.coldstart", "hoptrace.aws.throttle_count"}, "nothing else is"
