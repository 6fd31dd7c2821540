"""Makes a function of a condition, once, so that asking it costs little; it never raises.

What is not there is unknown, and no comparison holds of what is unknown, not even `!=`; nor does one of a number with a
text. A list holds what one of its members does.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hoptrace_collector.alert.grammar import Node

__all__ = ["Get", "Value", "compile_condition", "compile_value"]

# Gives the value of a name; None for what is not there.
Get = Callable[[Any], Any]
Value = Callable[[Get], Any]


def compile_condition(node: Node, constants: Mapping[str, Any]) -> Callable[[Get], bool]:
    """Return whether it holds, by what `Get` gives; `constants` are known by now.

    An aggregate is asked for by its place (`Node.at`) instead of by a name: whoever has a window gives its value.
    """
    value = compile_value(node, constants)
    if node.kind in ("compare", "and", "or", "not", "in", "function"):
        return value  # these give nothing but booleans
    return lambda get: value(get) is True


def compile_value(node: Node, constants: Mapping[str, Any]) -> Value:
    """Return what gives its value: a number, a text, a boolean, a list, or None."""
    return _KINDS[node.kind](node, constants)


def _literal(node: Node, _constants: Mapping[str, Any]) -> Value:
    value = node.value
    return lambda _: value


def _name(node: Node, constants: Mapping[str, Any]) -> Value:
    name = node.value
    if name in constants:
        value = constants[name]
        return lambda _: value
    return lambda get: get(name)


def _aggregate(node: Node, _constants: Mapping[str, Any]) -> Value:
    at = node.at
    return lambda get: get(at)


def _list(node: Node, constants: Mapping[str, Any]) -> Value:
    items = [compile_value(arg, constants) for arg in node.args]
    return lambda get: [item(get) for item in items]


def _not(node: Node, constants: Mapping[str, Any]) -> Value:
    condition = compile_condition(node.args[0], constants)
    return lambda get: not condition(get)


def _and(node: Node, constants: Mapping[str, Any]) -> Value:
    first, *rest = (compile_condition(arg, constants) for arg in node.args)
    if len(rest) == 1:
        second = rest[0]
        return lambda get: first(get) and second(get)
    return lambda get: first(get) and all(each(get) for each in rest)


def _or(node: Node, constants: Mapping[str, Any]) -> Value:
    first, *rest = (compile_condition(arg, constants) for arg in node.args)
    if len(rest) == 1:
        second = rest[0]
        return lambda get: first(get) or second(get)
    return lambda get: first(get) or any(each(get) for each in rest)


def _negative(node: Node, constants: Mapping[str, Any]) -> Value:
    value = compile_value(node.args[0], constants)

    def negative(get: Get) -> float | None:
        found = _number(value(get))
        return None if found is None else -found

    return negative


def _arithmetic(node: Node, constants: Mapping[str, Any]) -> Value:
    left, right = (compile_value(arg, constants) for arg in node.args)
    calculate = _ARITHMETIC[node.value]

    def result(get: Get) -> float | None:
        one, other = _number(left(get)), _number(right(get))
        if one is None or other is None:
            return None
        try:
            return _number(calculate(float(one), float(other)))
        except (ArithmeticError, ValueError):
            return None

    return result


def _compare(node: Node, constants: Mapping[str, Any]) -> Value:
    left, right = (compile_value(arg, constants) for arg in node.args)
    holds = _COMPARISONS[node.value]
    return lambda get: _compared(left(get), holds, right(get))


def _compared(one: Any, holds: Callable[[Any, Any], bool], other: Any) -> bool:
    if one is None or other is None:
        return False
    kind, kind_of_other = type(one), type(other)
    if kind is kind_of_other and (kind is str or kind is float or kind is int):
        return holds(one, other)
    if kind is list or kind is tuple:
        return any(_compared(item, holds, other) for item in one)
    if kind_of_other is list or kind_of_other is tuple:
        return any(_compared(one, holds, item) for item in other)
    if kind is bool or kind_of_other is bool:
        return kind is kind_of_other and holds in (_equal, _unequal) and holds(one, other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return holds(one, other)
    return False


def _in(node: Node, constants: Mapping[str, Any]) -> Value:
    one, many = (compile_value(arg, constants) for arg in node.args)
    return lambda get: _compared(one(get), _equal, many(get))


def _function(node: Node, constants: Mapping[str, Any]) -> Value:
    if node.value == "has":
        name = node.args[0].value
        return lambda get: get(name) is not None
    whole, part = (compile_value(arg, constants) for arg in node.args)
    test = _TEXTS[node.value]

    def holds(get: Get) -> bool:
        one, other = whole(get), part(get)
        if isinstance(one, list | tuple):
            return any(isinstance(item, str) and isinstance(other, str) and test(item, other) for item in one)
        return isinstance(one, str) and isinstance(other, str) and test(one, other)

    return holds


def _number(value: Any) -> float | int | None:
    """Return a finite number, so that no sum of any is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -1e300 < value < 1e300 else None


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)


def _unequal(one: Any, other: Any) -> bool:
    return bool(one != other)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": _unequal,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one / other,
}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda whole, part: part in whole,
    "startswith": lambda whole, part: whole.startswith(part),
    "endswith": lambda whole, part: whole.endswith(part),
}
_KINDS: dict[str, Callable[[Node, Mapping[str, Any]], Value]] = {
    "number": _literal,
    "text": _literal,
    "boolean": _literal,
    "name": _name,
    "aggregate": _aggregate,
    "list": _list,
    "not": _not,
    "and": _and,
    "or": _or,
    "negative": _negative,
    "arithmetic": _arithmetic,
    "compare": _compare,
    "in": _in,
    "function": _function,
}
