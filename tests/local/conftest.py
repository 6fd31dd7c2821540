"""A desk for every test, and an emulated AWS for those that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk_kit import DeskForTests
from emulated_aws import Aws, started


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskForTests]:
    made = DeskForTests(tmp_path)
    try:
        yield made
    finally:
        made.host.shutdown()


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    emulator, made = started(tmp_path_factory.mktemp("aws"))
    with emulator:
        yield made
        made.close()


@pytest.fixture
def desk_on_aws(tmp_path: Path, aws: Aws) -> Iterator[DeskForTests]:
    made = DeskForTests(tmp_path, aws=aws.endpoint)
    try:
        yield made
    finally:
        made.host.shutdown()
