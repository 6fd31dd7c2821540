"""Notices that a module has been imported, without being seen: the hook behind every patch.

A finder of our own, first on `sys.meta_path`, because wrapt's would cost 80 ms to import. It asks the finders behind it
for the real spec and wraps that spec's loader only until the module is executed; a module's `__spec__.loader` and
`__loader__` are the original when its first line runs. An error of the module itself passes through; an error of a
patch stops at the guard.
"""

from __future__ import annotations

import importlib
import sys
from threading import get_ident

from ..guard import guard

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Patch = Callable[[Any], None]


class Watch:
    """Runs `patches[name](module)` after each execution of the module `name`, the one of a reload included."""

    __slots__ = ("_busy", "_patches")

    def __init__(self, patches: Mapping[str, Patch]) -> None:
        self._patches = dict(patches)
        self._busy: set[tuple[int, str]] = set()

    def start(self) -> None:
        """Watch from now on, and patch what is there."""
        # Watching comes first: a module that another thread imports meanwhile is then patched twice rather than never,
        # and patches are idempotent.
        sys.meta_path.insert(0, self)
        for name, patch in self._patches.items():
            with guard(f"clients.{name}"):
                module = _settled(name)
                if module is not None:
                    patch(module)

    def stop(self) -> None:
        """Watch no longer."""
        self._patches.clear()  # for an import that has found its spec and not yet run
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The protocol of `importlib.abc.MetaPathFinder`; `None` for every module that nobody waits for."""
        if fullname not in self._patches:
            return None
        # Other hooks ask every finder again from inside theirs: we answer once for each import.
        question = (get_ident(), fullname)
        if question in self._busy:
            return None
        self._busy.add(question)
        try:
            spec = self._ask_the_others(fullname, path, target)
        finally:
            self._busy.discard(question)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = Loader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def _ask_the_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(fullname, path, target) if find is not None else None
            if spec is not None:
                return spec
        return None

    def executed(self, module: ModuleType) -> None:
        """A watched module's code has run to its end."""
        name = module.__name__
        with guard(f"clients.{name}"):
            patch = self._patches.get(name)
            if patch is not None:
                patch(module)


class Loader:
    """Stands in for a loader between finding and executing; looks, compares and pickles like the original."""

    __slots__ = ("_original", "_watch")

    def __init__(self, original: Any, watch: Watch) -> None:
        object.__setattr__(self, "_original", original)
        object.__setattr__(self, "_watch", watch)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """What the original loader makes."""
        create = getattr(self._original, "create_module", None)
        made: ModuleType | None = create(spec) if create is not None else None
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Execute by the original loader, then patch."""
        spec = module.__spec__
        if spec is not None and spec.loader is self:  # type: ignore[comparison-overlap]
            spec.loader = self._original
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._original
        self._original.exec_module(module)
        self._watch.executed(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._original, name, value)  # ddtrace puts a `get_code` of its own on the loader that it finds

    def __delattr__(self, name: str) -> None:
        delattr(self._original, name)

    @property
    def __class__(self) -> Any:
        return self._original.__class__

    @__class__.setter
    def __class__(self, kind: Any) -> None:
        raise TypeError("the class of a loader is not changed")

    def __eq__(self, other: object) -> bool:
        return bool(self._original == (other._original if type(other) is Loader else other))

    def __hash__(self) -> int:
        return hash(self._original)

    def __repr__(self) -> str:
        return repr(self._original)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._original.__reduce_ex__(protocol)


def _settled(name: str) -> ModuleType | None:
    """The module if it has been imported, waiting for a thread that is importing it just now."""
    if name not in sys.modules and name.rpartition(".")[0] not in sys.modules:
        return None
    # Such a thread may have found its spec before we watched and not yet be in `sys.modules`: its lock tells.
    lock = getattr(getattr(importlib, "_bootstrap", None), "_ModuleLockManager", None)
    if lock is not None:
        with lock(name):
            pass
    return sys.modules.get(name)
