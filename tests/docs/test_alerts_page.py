"""Every built-in rule and every field is a row of docs/alerts.md, which is written from the tables in the code."""

import importlib.util
from types import ModuleType

from hoptrace_collector.alert.builtin import BUILTIN, LIMITS
from hoptrace_collector.alert.facts import FIELDS
from hoptrace_collector.alert.rules import KINDS, read_rules
from tests.support.parts import REPOSITORY


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alerts_page", REPOSITORY / "docs" / "alerts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_written_from_the_tables() -> None:
    page = (REPOSITORY / "docs" / "alerts.md").read_text("utf-8")
    assert page == _writer().page(page), "run: make docs"
    assert all(f"\n| `{name}` | " in page for name in BUILTIN)


def test_every_built_in_rule_can_be_read_and_says_where_its_limit_comes_from() -> None:
    on = {name: {"off": False} for name in BUILTIN}
    rules, mistakes = read_rules(on, BUILTIN)
    assert mistakes == []
    assert [rule.name for rule in rules] == list(BUILTIN)
    assert {name for name, rule in BUILTIN.items() if "limit" in rule} == set(LIMITS)
    assert set(FIELDS) == set(KINDS)
    for rule in rules:
        assert rule.summary, rule.name
        assert all(name in FIELDS[rule.of] or "." in name for name in rule.names), rule.name
