"""Another tool's import hook finds our loader in a module's spec, and treats it as the module's own."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from hoptrace.clients.imports import Watch


def test_what_another_hook_puts_on_the_loader_is_used_by_the_modules_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ddtrace sets `get_code` there; an error would be the user's failing import."""
    (tmp_path / "shared_by_hooks.py").write_text("VALUE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    patched: list[Any] = []
    watch = Watch({"shared_by_hooks": patched.append})
    watch.start()
    try:
        spec = importlib.util.find_spec("shared_by_hooks")
        assert spec is not None
        loader: Any = spec.loader
        before = loader.get_code
        loader.get_code = lambda name: compile("VALUE = 2", "<other>", "exec")
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        assert module.VALUE == 2
        assert patched == [module]
        del loader.get_code
        assert loader.get_code == before
    finally:
        watch.stop()
        sys.modules.pop("shared_by_hooks", None)
