"""Every variable that the code reads is documented, and the page is the table's."""

import re
import subprocess
import sys
import tomllib

from tests.support.parts import REPOSITORY

# What Lambda itself sets, and what AWS's own libraries honour: not settings of ours.
LAMBDAS = re.compile(r"AWS_.*|_X_AMZN_TRACE_ID")
SOURCES = (
    "tracer/hoptrace/settings.py",
    *sorted((REPOSITORY / "collector/hoptrace_collector/settings").glob("*.py")),
    "collector/hoptrace_collector/gateway/settings.py",
    "layer/hoptrace-collector/doorman.bash",
)


def test_every_variable_that_the_code_reads_is_in_the_table() -> None:
    rows = tomllib.loads((REPOSITORY / "docs" / "settings.toml").read_text())["setting"]
    known = {row["name"] for row in rows}
    text = "".join((REPOSITORY / source).read_text() for source in SOURCES)
    read = set(re.findall(r"\b((?:HOPTRACE|OTEL)_[A-Z_]*[A-Z])\b", text))
    documented = " ".join(row["meaning"] for row in rows)
    missing = {name for name in read if name not in known and f"`{name}`" not in documented}
    assert not missing
    assert len(known) == len(rows)


def test_the_page_is_written_from_the_table() -> None:
    done = subprocess.run([sys.executable, str(REPOSITORY / "docs" / "settings.py"), "--check"])
    assert done.returncode == 0, "run: make docs"
