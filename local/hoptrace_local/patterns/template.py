"""Reads a SAM template: the few resource types and intrinsic functions that the patterns use, and nothing else.

What is not known here is an error: a resource that is silently left out would make a pattern that passes for the wrong
reason.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class UnknownInTemplate(ValueError):
    """The template has something that is not built here."""


class Template:
    """A template's resources by logical id, with `!Ref` and the like still in them."""

    def __init__(self, path: Path) -> None:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader with more tags
        self.path = path
        self.resources: dict[str, dict[str, Any]] = document["Resources"]
        self.parameters: dict[str, Any] = document.get("Parameters", {})
        self.globals: dict[str, Any] = document.get("Globals", {}).get("Function", {})

    def of_type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Logical id and properties of each resource of a type."""
        for name, resource in self.resources.items():
            if resource["Type"] == kind:
                yield name, resource.get("Properties", {})

    def function(self, name: str) -> dict[str, Any]:
        """A function's properties, the globals among them."""
        own = self.resources[name]["Properties"]
        variables = {**_variables(self.globals), **_variables(own)}
        return {**self.globals, **own, "Environment": {"Variables": variables}}

    @property
    def functions(self) -> list[str]:
        """The functions' logical ids, in the order of the template."""
        return [name for name, _ in self.of_type("AWS::Serverless::Function")]


def physical(logical: str) -> str:
    """The name that a resource gets here, `OrdersQueue` → `orders-queue`."""
    return _WORDS.sub("-", logical).lower()


def resolved(value: Any, known: Mapping[str, Any]) -> Any:
    """The value with every intrinsic function worked out.

    Args:
        known: what `Name` (for `!Ref`), `Name.Attribute` (for `!GetAtt`) and `AWS::…` stand for.

    Raises:
        UnknownInTemplate: it refers to something that is not known.
    """
    if isinstance(value, list):
        return [resolved(one, known) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, of),) = value.items()
        if name == "Ref":
            return _looked_up(of, known)
        if name == "Fn::GetAtt":
            return _looked_up(".".join(of), known)
        if name == "Fn::Sub":
            return _VARIABLE.sub(lambda found: str(_looked_up(found[1], known)), of)
        if name.startswith("Fn::"):
            raise UnknownInTemplate(f"{name} is not worked out here")
    return {key: resolved(one, known) for key, one in value.items()}


def _looked_up(name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UnknownInTemplate(f"the template speaks of {name}, which is not known here")
    return known[name]


def _variables(properties: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = properties.get("Environment", {}).get("Variables", {})
    return found


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows the short forms of intrinsic functions."""


def _short_form(loader: _Loader, suffix: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "Ref":
        return {"Ref": value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
