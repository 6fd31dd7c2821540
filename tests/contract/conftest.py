"""One emulated AWS for all contract tests of a run, with the strict front before it."""

from collections.abc import Iterator

import pytest

from tests.contract.lab import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made
