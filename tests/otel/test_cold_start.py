"""A function without OpenTelemetry pays nothing for it."""

from pathlib import Path

from tests.otel.support import shipping
from tests.support.functions import function

LOADED = """
import sys

def handler(event, _):
    prefixes = ("hoptrace.otel", "opentelemetry", "hoptrace.clients")
    return sorted(name for name in sys.modules if name.startswith(prefixes))
"""


def test_nothing_of_it_is_loaded_where_the_users_code_has_none(tmp_path: Path) -> None:
    with function(tmp_path, LOADED) as desk:
        loaded = desk.invoke({})
    assert not [name for name in loaded if "opentelemetry" in name or "otel" in name or "pools" in name]


def test_only_the_api_is_loaded_where_the_user_ships_the_sdk_and_imports_the_api(tmp_path: Path) -> None:
    with shipping(tmp_path, "from opentelemetry import trace\n" + LOADED, "opentelemetry-sdk") as desk:
        loaded = desk.invoke({})
    assert "hoptrace.otel.provider" in loaded
    assert not [name for name in loaded if name.startswith("opentelemetry.sdk")]
