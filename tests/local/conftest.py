"""A desk for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk_kit import DeskForTests


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskForTests]:
    made = DeskForTests(tmp_path)
    try:
        yield made
    finally:
        made.host.shutdown()
