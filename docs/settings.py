"""Writes settings.md from settings.toml; `make docs`."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def page() -> str:
    """The page's text."""
    settings = tomllib.loads((HERE / "settings.toml").read_text("utf-8"))["setting"]
    lines = [
        "# Settings",
        "",
        "Environment variables of the function. A wrong value gives one line in the log, and the default.",
        "Those of the gateway are its host's; with a wrong value of its own it does not start.",
        "Besides these, Lambda's own variables are honoured, and `AWS_ENDPOINT_URL` with those of single services.",
        "",
        "| name | default | read by | meaning |",
        "|---|---|---|---|",
    ]
    for row in settings:
        meaning = row["meaning"]
        lines.append(f"| `{row['name']}` | {row['default']} | {row['read_by']} | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = HERE / "settings.md"
    if "--check" in sys.argv:
        sys.exit(target.read_text("utf-8") != page())
    target.write_text(page(), "utf-8")
