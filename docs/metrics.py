"""Writes the tables of metrics.md from the table in the collector's code; `make docs`.

The prose of the page is written by hand; what stands between `<!-- NAME -->` and `<!-- end -->` is not.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "collector"))

from hoptrace_collector.metrics_table import OWN, ROWS, Row  # noqa: E402

PAGE = HERE / "metrics.md"


def page(text: str) -> str:
    """The page's text, with the tables as they ought to be."""
    for name, rows in (("metrics", ROWS), ("own", OWN)):
        head, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not begin or not end:
            raise ValueError(f"metrics.md has no place for the table {name!r}")
        text = head + begin + "\n".join(_table(rows)) + "\n" + end + tail
    return text


def _table(rows: tuple[Row, ...]) -> list[str]:
    lines = ["| name | instrument, unit | attributes | meaning | from |", "|---|---|---|---|---|"]
    for row in rows:
        attributes = ", ".join(f"`{name}`" for name in row.attributes)
        lines.append(
            f"| `{row.name}` | {row.instrument}, `{row.unit}` | {attributes} | {row.description} | {row.source} |"
        )
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
