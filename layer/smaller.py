"""Makes what goes into the layer smaller: it is loaded by every cold start, and read by nobody.

Sources are there for a Python that the layer has no bytecode for, and for the lines of a traceback. They go without
comments and docstrings, every statement on the line that it has in the repository.

Of protobuf the layer has the compiled implementation for its architecture. The one in Python, which protobuf's own
modules import all the same, is replaced by empty modules: a tenth of the layer, and half of what is loaded to read
OTLP.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

#: protobuf's implementation in Python, and the forms that nothing here prints: what is imported is emptied, the rest is
#: left out.
EMPTIED = ("google/protobuf/internal/python_message.py", "google/protobuf/internal/type_checkers.py")
LEFT_OUT = (
    r"google/protobuf/internal/(containers|decoder|encoder|extension_dict|message_listener|wire_format)\.py$",
    r"google/protobuf/(text_format|unknown_fields)\.py$",
)
_EMPTY = "# Left out of the layer: the compiled implementation needs nothing of it.\n"


def empty(home: Path) -> None:
    """Empty what protobuf imports and does not need, under the folder that holds it."""
    for name in EMPTIED:
        (home / name).write_text(_EMPTY)


def bare(source: str) -> str:
    """Return Python source without comments and docstrings; every other line stays where it is."""
    lines = source.splitlines(keepends=True)
    for first, last, column, alone in _docstrings(ast.parse(source)):
        indent = lines[first][:column]
        lines[first : last + 1] = [f"{indent}pass\n" if alone else "\n", *["\n"] * (last - first)]
    lines = "".join(lines).splitlines(keepends=True)
    for token in list(tokenize.generate_tokens(io.StringIO("".join(lines)).readline)):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    return "".join(lines)


def _docstrings(tree: ast.Module) -> list[tuple[int, int, int, bool]]:
    """First and last line (from 0), column, and whether nothing else is in the body."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
            continue
        text = node.body[0]
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
            alone = len(node.body) == 1 and not isinstance(node, ast.Module)
            found.append((text.lineno - 1, (text.end_lineno or text.lineno) - 1, text.col_offset, alone))
    return found
