"""Reads a condition, by recursive descent; nothing is ever evaluated that the user's text could choose.

    condition   either ("or" either)*
    either      denial ("and" denial)*
    denial      "not" denial | comparison
    comparison  sum [("==" | "!=" | "<" | "<=" | ">" | ">=" | ["not"] "in") sum]
    sum         product (("+" | "-") product)*
    product     factor (("*" | "/") factor)*
    factor      "-" factor | number | text | "true" | "false" | name | call | "(" condition ")" | list
    list        "[" [sum ("," sum)*] "]"
    call        name "(" [condition ("," condition)*] ")"

What a condition is about is either each observation, or a window of them: then it speaks of them through `count`,
`rate`, `percentile` and their like only.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hoptrace_collector.alert.tokens import ExpressionError, Token, tokens

__all__ = ["AGGREGATES", "FUNCTIONS", "Node", "aggregates_in", "names_in", "needs_of", "parse"]

DEEPEST = 32
MOST_NODES = 300
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
# Of one observation: name, and what kinds its arguments have.
FUNCTIONS = {
    "has": ("name",),
    "attr": ("text",),
    "contains": ("value", "value"),
    "startswith": ("value", "value"),
    "endswith": ("value", "value"),
}
# Of a window of observations.
AGGREGATES = {
    "count": ("condition?",),
    "rate": ("condition",),
    "absent": ("condition?",),
    "sum": ("value",),
    "avg": ("value",),
    "min": ("value",),
    "max": ("value",),
    "p50": ("value",),
    "p90": ("value",),
    "p95": ("value",),
    "p99": ("value",),
    "percentile": ("value", "share"),
}
BOOLEAN, NUMBER, TEXT, ANY, LIST = "condition", "number", "text", "value", "list"


class Node(NamedTuple):
    """A part of a condition: `kind` is number, text, boolean, name, list, not, and, or, negative, arithmetic, compare,
    in, function or aggregate; `value` what it is of its kind; `type` what comes of it; `at` the character where it
    begins, `end`, of a call, the one after it.
    """

    kind: str
    at: int
    type: str
    value: Any = None
    args: "tuple[Node, ...]" = ()
    end: int = 0


def parse(text: str, *, constants: tuple[str, ...] = (), types: Mapping[str, str] | None = None) -> Node:
    """Read a condition; raises ExpressionError and nothing else.

    `constants` are names that hold beside a window, `types` what is known of names: `number`, `text` or `condition`.
    """
    node = _Parser(tokens(text), types or {}).whole()
    if node.type not in (BOOLEAN, ANY):
        raise ExpressionError(f"this is a {node.type} and no condition: compare it with something", node.at)
    if aggregates_in(node):
        _beside_a_window(node, constants)
    return node


def aggregates_in(node: Node) -> list[Node]:
    """Return the calls of `count` and its like, from left to right."""
    if node.kind == "aggregate":
        return [node]
    return [found for arg in node.args for found in aggregates_in(arg)]


def names_in(node: Node) -> list[Node]:
    """Return the names that it asks for, also those in `attr("…")`, from left to right."""
    if node.kind == "name":
        return [node]
    return [found for arg in node.args for found in names_in(arg)]


def needs_of(node: Node) -> frozenset[str] | None:
    """Return names of which one must be there for the condition to hold; None where none need be.

    Fields without a dot are always there.
    """
    if node.kind == "name":
        return frozenset((node.value,)) if "." in node.value else None
    if node.kind in ("or", "aggregate"):
        parts = [needs_of(arg) for arg in node.args]
        known = [part for part in parts if part is not None]
        return frozenset().union(*known) if known and len(known) == len(parts) else None
    if node.kind in ("and", "compare", "in", "function", "arithmetic", "negative"):
        found = [part for part in (needs_of(arg) for arg in node.args) if part is not None]
        return min(found, key=len) if found else None
    return None


def _beside_a_window(node: Node, constants: tuple[str, ...]) -> None:
    if node.kind == "aggregate":
        for arg in node.args:
            inner = aggregates_in(arg)
            if inner:
                raise ExpressionError(f"{inner[0].value} cannot stand inside {node.value}", inner[0].at)
        return
    if node.kind == "name" and node.value not in constants:
        raise ExpressionError(
            f"{node.value} is of one observation, and beside count, rate and their like there are many: "
            "write it inside of one of these",
            node.at,
        )
    for arg in node.args:
        _beside_a_window(arg, constants)


class _Parser:
    def __init__(self, found: list[Token], types: Mapping[str, str]) -> None:
        self._types = types
        self._tokens = found
        self._place = 0
        self._depth = 0
        self._nodes = 0

    def whole(self) -> Node:
        node = self._condition()
        if self._next.kind != "end":
            raise ExpressionError(
                f"nothing is expected after the condition, here is {self._next.value!r}", self._next.at
            )
        return node

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._tokens[self._place]
        self._place += 1
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ExpressionError(f"more than {MOST_NODES} parts", token.at)
        return token

    def _is(self, kind: str, *values: str) -> bool:
        return self._next.kind == kind and self._next.value in values

    def _condition(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpressionError(f"nested more than {DEEPEST} deep", self._next.at)
        node = self._joined("or", lambda: self._joined("and", self._denial))
        self._depth -= 1
        return node

    def _joined(self, word: str, part: Any) -> Node:
        parts = [part()]
        while self._is("name", word):
            self._take()
            parts.append(part())
        if len(parts) == 1:
            first: Node = parts[0]
            return first
        for each in parts:
            if each.type not in (BOOLEAN, ANY):
                raise ExpressionError(f"{word!r} joins conditions, and this is a {each.type}", each.at)
        return Node(word, parts[0].at, BOOLEAN, None, tuple(parts))

    def _denial(self) -> Node:
        denials = []
        while self._is("name", "not"):
            denials.append(self._take())
        node = self._comparison()
        for token in reversed(denials):
            if node.type not in (BOOLEAN, ANY):
                raise ExpressionError(f"'not' denies a condition, and this is a {node.type}", node.at)
            node = Node("not", token.at, BOOLEAN, None, (node,))
        return node

    def _comparison(self) -> Node:
        left = self._sum()
        if self._is("sign", *COMPARISONS):
            sign = self._take()
            right = self._sum()
            _comparable(left, sign, right)
            if self._is("sign", *COMPARISONS):
                raise ExpressionError("comparisons are joined by 'and'", self._next.at)
            return Node("compare", left.at, BOOLEAN, sign.value, (left, right))
        denied = self._is("name", "not") and self._tokens[self._place + 1][:2] == ("name", "in")
        if denied:
            self._take()
        if self._is("name", "in"):
            word = self._take()
            right = self._sum()
            if right.type not in (LIST, ANY):
                raise ExpressionError(f'after \'in\' a list is expected, such as ["a", "b"]: a {right.type}', word.at)
            node = Node("in", left.at, BOOLEAN, None, (left, right))
            return Node("not", left.at, BOOLEAN, None, (node,)) if denied else node
        return left

    def _sum(self) -> Node:
        return self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/"), self._factor))

    def _arithmetic(self, signs: tuple[str, ...], part: Any) -> Node:
        node: Node = part()
        while self._is("sign", *signs):
            sign = self._take()
            other = part()
            for each in (node, other):
                if each.type not in (NUMBER, ANY):
                    raise ExpressionError(f"{sign.value!r} is for numbers, and this is a {each.type}", each.at)
            node = Node("arithmetic", node.at, NUMBER, sign.value, (node, other))
        return node

    def _factor(self) -> Node:
        negatives = []
        while self._is("sign", "-"):
            negatives.append(self._take())
        node = self._atom()
        for token in negatives:
            if node.type not in (NUMBER, ANY):
                raise ExpressionError(f"'-' is for numbers, and this is a {node.type}", node.at)
            node = Node("negative", token.at, NUMBER, None, (node,))
        return node

    def _atom(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return Node("number", token.at, NUMBER, token.value)
        if token.kind == "text":
            return Node("text", token.at, TEXT, token.value)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "sign" and token.value == "(":
            node = self._condition()
            self._close(")", token)
            return node
        if token.kind == "sign" and token.value == "[":
            return self._list(token)
        found = "the end" if token.kind == "end" else repr(token.value)
        raise ExpressionError(f"a value is expected, here is {found}", token.at)

    def _list(self, opened: Token) -> Node:
        items = self._arguments("]", opened, self._sum)
        for item in items:
            if item.type == LIST:
                raise ExpressionError("a list holds no lists", item.at)
        return Node("list", opened.at, LIST, None, tuple(items))

    def _named(self, token: Token) -> Node:
        name = str(token.value)
        if name in ("true", "false"):
            return Node("boolean", token.at, BOOLEAN, name == "true")
        if name in ("and", "or", "not", "in"):
            raise ExpressionError(f"a value is expected, here is {name!r}", token.at)
        if not self._is("sign", "("):
            return Node("name", token.at, self._types.get(name, ANY), name)
        wanted = FUNCTIONS.get(name) or AGGREGATES.get(name)
        if wanted is None:
            raise ExpressionError(
                f"there is no function {name}; there are {', '.join((*FUNCTIONS, *AGGREGATES))}", token.at
            )
        args = self._arguments(")", self._take(), self._condition)
        least = sum(not each.endswith("?") for each in wanted)
        if not least <= len(args) <= len(wanted):
            number = str(least) if least == len(wanted) else f"{least} or {len(wanted)}"
            raise ExpressionError(f"{name} takes {number} arguments, not {len(args)}", token.at)
        for each, arg in zip(wanted, args, strict=False):
            _fits(name, each, arg)
        return _call(name, token.at, args, self._tokens[self._place - 1].at + 1)

    def _arguments(self, closing: str, opened: Token, part: Any) -> list[Node]:
        args: list[Node] = []
        while not self._is("sign", closing):
            if args:
                if not self._is("sign", ","):
                    break
                self._take()
            args.append(part())
        self._close(closing, opened)
        return args

    def _close(self, sign: str, opened: Token) -> None:
        if not self._is("sign", sign):
            found = "the end" if self._next.kind == "end" else repr(self._next.value)
            raise ExpressionError(
                f"{opened.value!r} is not closed: {sign!r} is expected, here is {found}", self._next.at
            )
        self._take()


def _call(name: str, at: int, args: list[Node], end: int) -> Node:
    if name == "attr":
        return Node("name", at, ANY, args[0].value)
    if name in FUNCTIONS:
        return Node("function", at, BOOLEAN, name, tuple(args))
    return Node("aggregate", at, BOOLEAN if name == "absent" else NUMBER, name, tuple(args), end)


def _fits(function: str, wanted: str, arg: Node) -> None:
    wanted = wanted.rstrip("?")
    if wanted == "share":
        if arg.kind != "number" or not 0 < arg.value <= 100:
            raise ExpressionError(f"{function} wants a number above 0 and up to 100 here", arg.at)
    elif wanted == "text":
        if arg.kind != "text" or not arg.value:
            raise ExpressionError(f'{function} wants a name in quotes: {function}("my-attribute")', arg.at)
    elif wanted == "name":
        if arg.kind != "name":
            raise ExpressionError(f"{function} wants the name of a field", arg.at)
    elif wanted == "condition":
        if arg.type not in (BOOLEAN, ANY):
            raise ExpressionError(f"{function} wants a condition, and this is a {arg.type}", arg.at)
    elif arg.type in (BOOLEAN, LIST):
        raise ExpressionError(f"{function} wants a value, and this is a {arg.type}", arg.at)


def _comparable(left: Node, sign: Token, right: Node) -> None:
    for each in (left, right):
        if each.type == LIST:
            raise ExpressionError("lists are asked with 'in'", each.at)
    if ANY in (left.type, right.type):
        known = right if left.type == ANY else left
        if known.type == BOOLEAN and sign.value not in ("==", "!="):
            raise ExpressionError(f"{sign.value!r} is for numbers and texts, and this is a condition", known.at)
        return
    if left.type != right.type:
        raise ExpressionError(f"a {left.type} is never {sign.value} a {right.type}", sign.at)
    if left.type == BOOLEAN and sign.value not in ("==", "!="):
        raise ExpressionError(f"{sign.value!r} is for numbers and texts", sign.at)
