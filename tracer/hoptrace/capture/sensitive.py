"""What AWS's own models mark as sensitive in an operation's parameters and answer, as paths that are not told.

A name does not always say it: `SSECustomerKey` is a key, a connection's `Value` may be a password. Models also mark
what may be private in general, prompts and phone numbers among it; of that, `_PAYLOADS` are told all the same.
"""

from typing import Any

from ..settings import settings
from .paths import Step, Where
from .redaction import flat

_PAYLOADS = {
    "lambda": frozenset(("InputPayload", "Payload", "Result")),
    "stepfunctions": frozenset(("cause", "error", "input", "output")),
}
"""Members that are marked and told all the same: what a function or an execution is given and gives back."""

_DEEPEST = 12
_MOST_SHAPES = 4000
_MOST_KEPT = 256
_known: dict[tuple[str, str, bool], Where | None] = {}


def marked(model: Any, operation: str, *, answer: bool) -> Where | None:
    """The paths of an operation's sensitive members; `None` where all of it is.

    Args:
        model: botocore's, of the service.
        answer: of the answer, and not of the parameters.
    """
    name = (model.service_name, operation, answer)
    if name not in _known:
        described = model.operation_model(operation)
        found = _Walk(_PAYLOADS.get(model.service_name, frozenset()))
        found.into(described.output_shape if answer else described.input_shape, (), frozenset())
        if found.within_itself:
            found.deeper()
        if len(_known) >= _MOST_KEPT:
            _known.clear()
        _known[name] = None if () in found.paths else tuple((path, 0) for path in found.paths)
    kept = {flat(one) for one in settings().listed("HOPTRACE_REDACT_KEEP")}
    where = _known[name]
    return where if not kept or where is None else tuple(one for one in where if flat(str(one[0][-1])) not in kept)


class _Walk:
    __slots__ = ("_left", "_payloads", "paths", "within_itself")

    def __init__(self, payloads: frozenset[str]) -> None:
        self.paths: dict[tuple[Step, ...], None] = {}
        self._payloads = payloads
        self.within_itself = False
        self._left = _MOST_SHAPES

    def deeper(self) -> None:
        """Where a shape has itself somewhere inside: the same names at whatever depth."""
        names = {next((step for step in reversed(path) if isinstance(step, str)), "") for path in self.paths}
        for name in sorted(names - {""}):
            self.paths[(False, name)] = None

    def into(self, shape: Any, path: tuple[Step, ...], above: frozenset[str]) -> None:
        """Note the sensitive members of a shape, however deep."""
        if shape is None or (path and path[-1] in self._payloads):
            return
        self._left -= 1
        if shape.metadata.get("sensitive") or len(path) > _DEEPEST or self._left < 0:
            self.paths[path] = None
            return
        if shape.name in above:
            self.within_itself = True
            return
        above |= {shape.name}
        kind = shape.type_name
        if kind == "structure":
            for name, member in shape.members.items():
                self.into(member, (*path, name), above)
        elif kind in ("list", "map"):
            self.into(shape.member if kind == "list" else shape.value, (*path, True), above)
