"""Writes patterns.md from the READMEs of examples/patterns; `make docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATTERNS = HERE.parent / "examples" / "patterns"
INTRODUCTION = """\
# Patterns that must come out right

Written from the READMEs in [examples/patterns](../examples/patterns) by `make docs`. Each pattern is a small
application with a template for the AWS SAM CLI. `hoptrace patterns` lists them; `hoptrace patterns NAME` builds one as
its template says, in an emulated AWS and a local Lambda with the layer attached, runs it, and compares the whole trace
with the one that is shown here: every span with its function, kind, parent and links.

How to read a trace: the function that a span belongs to, the tree, the span's kind; a *server* is an invocation, a
*consumer* the processing of one record, a *hop* the time in which a service held the message. `↪ #1` is a link to the
span that is marked `#1`. `↪ meets at aws.dynamodb (a)` is a link to a place that both ends derive from what AWS tells
them ([propagation](propagation.md)). Environments' initializations are left out.

What is not as on AWS, because the emulated one has no such thing: batching windows (a mapping with a window begins when
the records lie there), the pauses before the retries of an asynchronous event (fractions of a second instead of one
minute and two), and `StartMessageMoveTask`.
"""


def page() -> str:
    """The page's text."""
    readmes = [readme.read_text("utf-8") for readme in sorted(PATTERNS.glob("*/README.md"))]
    return "\n".join([INTRODUCTION, *(demoted(readme) for readme in readmes)])


def demoted(readme: str) -> str:
    """The README with every heading one level lower; what stands in a fence is no heading."""
    lines, fenced = [], False
    for line in readme.splitlines():
        fenced ^= line.startswith("```")
        lines.append(f"#{line}" if line.startswith("#") and not fenced else line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = HERE / "patterns.md"
    if "--check" in sys.argv:
        sys.exit(target.read_text("utf-8") != page())
    target.write_text(page(), "utf-8")
