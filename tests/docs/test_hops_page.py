"""Every trigger and every carrier is in the table of docs/hops.md, which the code itself says."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hoptrace.triggers import TRIGGERS
from tests.support.parts import REPOSITORY


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hops", REPOSITORY / "docs" / "hops.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hops = _writer()


def test_the_page_is_written_from_the_code() -> None:
    assert (REPOSITORY / "docs" / "hops.md").read_text("utf-8") == hops.page(), "run: make docs"


def test_the_page_has_the_triggers_that_the_tracer_has_in_its_order() -> None:
    folder = hops.TRACER / "triggers"
    assert hops.triggers()[:-1] == [(name, folder / f"{module}.py") for name, _, module in TRIGGERS]


def test_every_carrier_is_a_row() -> None:
    files = {file.stem for file in (hops.TRACER / "carriers").glob("*.py")} - {"__init__", *hops.SHARED}
    assert {name for name, _ in hops.carriers()} == files
    page = hops.page()
    assert all(f"\n| `{name}` | " in page for name in files)


def test_a_triggers_kind_is_what_its_golden_events_are_read_as() -> None:
    sys.path.insert(0, str(REPOSITORY / "tests" / "triggers"))
    try:
        from golden import EXPECTED
    finally:
        sys.path.pop(0)
    kinds: dict[str, set[str]] = {}
    for name, kind, *_ in EXPECTED.values():
        kinds.setdefault(name, set()).add(kind)
    for name, file in hops.triggers():
        assert kinds.get(name, set()) <= set(hops.faas_trigger(file).split(" or ")), name


@pytest.mark.parametrize(("room", "label"), [("triggers", "Hops"), ("carriers", "Limits")])
def test_a_module_that_does_not_say_what_the_page_needs_fails_it(room: str, label: str, tmp_path: Path) -> None:
    package = tmp_path / "hoptrace"
    for name in ("triggers", "carriers"):
        shutil.copytree(hops.TRACER / name, package / name)
    file = package / room / "sqs.py"
    file.write_text(file.read_text("utf-8").replace(f"{label}:", "Otherwise:", 1), "utf-8")
    with pytest.raises(hops.Unlabelled, match=f"{room}/sqs.py: .*{label}"):
        hops.page(package)


def test_a_labelled_line_reaches_to_the_next_label_or_a_blank_line(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text('"""One.\n\nContext: here\n    and: there.\nHops: a | b.\n\nNot this.\n"""\n', "utf-8")
    assert hops.labelled(file, ("Context", "Hops")) == {"Context": "here and: there.", "Hops": "a | b."}
    assert "a \\| b |" in hops.table([("one", file)], ("Hops",), "trigger")[-1]
