"""Compiles a staged layer for the Python that runs this: `python -S -X no_debug_ranges bytecode.py STAGE`.

On the function's path each module has its own file, `unchecked-hash` (PEP 552); the collector's modules are one file,
as its `__main__.py` says. Nothing has docstrings, and of our own packages the annotations of functions are left out as
well: nothing reads them there, and each function would make them anew when its module is loaded. Those of classes
stay, since a NamedTuple is made of them.

Prints the version of the Python.
"""

import ast
import importlib.util
import marshal
import sys
from importlib._bootstrap_external import _code_to_hash_pyc  # what py_compile itself writes with
from pathlib import Path

OURS = ("hoptrace", "hoptrace_collector")
COLLECTOR = "hoptrace-collector"


class _WithoutAnnotations(ast.NodeTransformer):
    def _function(self, node):
        self.generic_visit(node)
        node.returns = None
        arguments = node.args
        for each in (*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg):
            if each is not None:
                each.annotation = None
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815  ast's own names


def code_of(path, root):
    """Compile one module of the stage `root`."""
    relative = path.relative_to(root)
    tree = ast.parse(path.read_bytes())
    if relative.parts[1] in OURS:
        tree = _WithoutAnnotations().visit(tree)
    return compile(tree, f"/opt/{relative.as_posix()}", "exec", dont_inherit=True, optimize=2)


def write_file(path, root):
    """Write the bytecode of one module to where Python looks for it."""
    target = Path(importlib.util.cache_from_source(str(path), optimization=""))
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(_code_to_hash_pyc(code_of(path, root), importlib.util.source_hash(path.read_bytes()), False))


def write_bundle(paths, home, root):
    """Write the bytecode of all modules of the collector."""
    index, codes, begin = {}, [], 0
    for path in paths:
        *folders, name = path.relative_to(home).with_suffix("").parts
        package = name == "__init__"
        code = marshal.dumps(code_of(path, root))
        index[".".join(folders if package else [*folders, name])] = (package, begin, len(code))
        codes.append(code)
        begin += len(code)
    head = marshal.dumps(index)
    content = [importlib.util.MAGIC_NUMBER, len(head).to_bytes(8, "little"), head, *codes]
    (home / "bytecode-{}.{}".format(*sys.version_info)).write_bytes(b"".join(content))


def main(root):
    """Compile every module under `root`."""
    home = root / COLLECTOR
    bundled = [path for path in sorted(home.rglob("*.py")) if path.name != "__main__.py"]
    for path in sorted(set(root.rglob("*.py")) - set(bundled)):
        write_file(path, root)
    write_bundle(bundled, home, root)
    print("{}.{}.{}".format(*sys.version_info))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
