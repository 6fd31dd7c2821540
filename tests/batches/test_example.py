"""The example's functions, run as its README says."""

from pathlib import Path

import pytest

from examples.batches.run import HERE, run
from tests.batches import powertools
from tests.clash.packages import link
from tests.support import parts


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "error"),
    [("by_hand", "batch_item_failure"), ("side_by_side", "ValueError"), ("with_powertools", "ValueError")],
)
def test_each_order_is_charged_in_its_own_trace_and_one_fails_alone(name: str, error: str, tmp_path: Path) -> None:
    task = tmp_path / "task"
    if name == "with_powertools":
        link(powertools.packages("newest"), task)
    else:
        task.mkdir()
    (task / "app.py").write_text((HERE / name / "app.py").read_text("utf-8"), "utf-8")
    answer, *records = run(name, task, parts.layer())
    assert answer == 'answer: {"batchItemFailures": [{"itemIdentifier": "00000002-0000-4000-8000-000000000000"}]}'
    assert records == [
        "trace …0001  process orders  POST  ok",
        f"trace …0002  process orders  -  {error}",
        "trace …0003  process orders  POST  ok",
        "trace …0004  process orders  POST  ok",
    ]
