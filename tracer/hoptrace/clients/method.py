"""A method of somebody else's class, replaced by a plain function of ours and put back.

Every patch is one of these: what is replaced twice stays replaced once, and where somebody has wrapped our function
meanwhile it stays in their chain, switched off. A plain function, because importing wrapt would cost a cold start more
than everything here.
"""

from collections.abc import Callable
from typing import Any

_MARK = "__hoptrace_patch__"

Make = Callable[[Callable[..., Any]], Callable[..., Any]]


class Method:
    """One method, by its name; `make` gets the original and answers with ours, which must ask `on` at each call."""

    __slots__ = ("_make", "_name", "_patched", "on")

    def __init__(self, name: str, make: Make) -> None:
        self._name = name
        self._make = make
        self._patched: tuple[Any, Any, Any] | None = None  # the class, its own method, ours
        self.on = False

    def patch(self, owner: Any) -> None:
        """Replace it in `owner`; a class that has ours already is left alone."""
        self.on = True
        original = getattr(owner, self._name)
        if _is_ours(original):
            return
        ours = self._make(original)
        setattr(ours, _MARK, True)
        setattr(owner, self._name, ours)
        self._patched = (owner, original, ours)

    def unpatch(self) -> None:
        """Undo it, or switch it off where it is part of somebody's chain."""
        self.on = False
        if self._patched is not None:
            owner, original, ours = self._patched
            if owner.__dict__.get(self._name) is ours:
                setattr(owner, self._name, original)
            self._patched = None


def _is_ours(function: Any) -> bool:
    """Whether our function is somewhere in this chain of wrappers."""
    for _ in range(32):
        if getattr(function, "__dict__", {}).get(_MARK):
            return True
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            return False
        function = inner
    return False
