"""The page of the patterns is made of their READMEs, which the runs of the patterns are compared with."""

import subprocess
import sys

from tests.support.parts import REPOSITORY


def test_the_page_is_written_from_the_readmes() -> None:
    done = subprocess.run([sys.executable, str(REPOSITORY / "docs" / "patterns.py"), "--check"])
    assert done.returncode == 0, "run: make docs"
