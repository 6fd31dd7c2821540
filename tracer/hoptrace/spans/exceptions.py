"""What is recorded of an exception: type, message and stack, by OpenTelemetry's "Exceptions" conventions."""

from __future__ import annotations

import traceback

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


_OURS = "/hoptrace/bootstrap.py"
_LONGEST_CHAIN = 10
_LARGEST_GROUP = 50
_FIRST = 10


def exception_type(error: BaseException) -> str:
    """The type's name as the conventions want it: with its module, unless it is a built-in."""
    kind = type(error)
    module = kind.__module__
    name = kind.__qualname__
    return name if module in ("builtins", "__main__", None) else f"{module}.{name}"


def exception_message(error: BaseException, length: int = 1024) -> str:
    """`str(error)`, or what stands for it when that raises (it is the user's code)."""
    try:
        return told("", str(error), length)
    except Exception:
        return "<the exception's __str__ raised>"


def exception_attributes(error: BaseException, length: int) -> dict[str, object]:
    """Attributes of the `exception` event; a stack longer than `length` characters keeps its end."""
    found: dict[str, object] = {
        "exception.type": exception_type(error),
        "exception.message": exception_message(error, length),
        "exception.stacktrace": _end(_stack(error), length),
    }
    variables = "" if _locals is None else _locals(error)
    if variables:
        found["hoptrace.exception.locals"] = variables
    return found


def told(key: str, text: str, length: int) -> str:
    """What may be told of a text under this name, in so many characters at most."""
    return text[:length] if _scrub is None else _scrub(key, text, length)


def told_name(name: str) -> str:
    """An attribute's name without a secret that somebody has written into it."""
    return told("", name, len(name) + 8) if "=" in name or ":" in name else name


def told_all(attributes: dict[str, object]) -> dict[str, object]:
    """The same for attributes that nobody has looked at yet; themselves where nobody does."""
    if _scrub is None:
        return attributes
    return {told_name(key): _looked_at(key, value) for key, value in attributes.items()}


def _looked_at(key: str, value: object) -> object:
    if isinstance(value, str):
        return told(key, value, len(value) + 8)
    return [_looked_at(key, one) for one in value] if isinstance(value, list | tuple) else value


_scrub: Callable[[str, str, int], str] | None = None
_locals: Callable[[BaseException], str] | None = None


def on_text(scrub: Callable[[str, str, int], str] | None) -> None:
    """Name what takes secrets out of a text under a name, in so many characters; `None`: nobody does."""
    global _scrub
    _scrub = scrub


def on_locals(read: Callable[[BaseException], str] | None) -> None:
    """Name what tells the local variables of an exception's frames; `None`: nobody does."""
    global _locals
    _locals = read


def _end(stack: str, length: int) -> str:
    """The last lines; whole ones where secrets are looked for, since half a line may be half of one."""
    if _scrub is None:
        return stack[-length:] if length else ""
    lines = _scrub("", stack[-2 * length :], 2 * length) if length else ""
    return lines if len(lines) <= length else lines[-length:].partition("\n")[2]


def _chained(error: BaseException) -> list[BaseException]:
    """The exception and what it came of, as Python prints them, a few at most; counted to one more than that."""
    found = [error]
    while len(found) <= _LONGEST_CHAIN:
        last = found[-1]
        before = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if before is None or any(before is one for one in found):
            break
        found.append(before)
    return found


def _size(error: BaseException) -> int:
    """How many exceptions a group has in it, counted to a little more than what is printed."""
    waiting, seen = [error], 0
    while waiting and seen <= _LARGEST_GROUP:
        seen += 1
        inner = getattr(waiting.pop(), "exceptions", ())
        waiting.extend(inner[: _LARGEST_GROUP + 1] if isinstance(inner, tuple) else ())
    return seen


def _stack(error: BaseException) -> str:
    try:
        chain = _chained(error)
        if len(chain) <= _LONGEST_CHAIN and all(_size(one) <= _LARGEST_GROUP for one in chain):
            return "".join(traceback.format_exception(type(error), error, _users(error), limit=-64))
        left_out = len(chain) > _LONGEST_CHAIN
        parts = [_alone(one) for one in chain[:_LONGEST_CHAIN]]
        for place, one in enumerate(chain[: len(parts) - 1]):
            parts[place] = (_CAUSED if one.__cause__ is not None else _DURING) + parts[place]
        return ("… what came before is left out\n\n" if left_out else "") + "".join(reversed(parts))
    except Exception:
        return ""


_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"


def _alone(error: BaseException) -> str:
    """One of a chain; of a large group, its first members without their stacks."""
    if _size(error) <= _LARGEST_GROUP:
        return "".join(traceback.format_exception(type(error), error, _users(error), limit=-64, chain=False))
    lines = traceback.format_tb(_users(error), limit=-64)
    lines.append(f"{exception_type(error)}: {exception_message(error)}\n")
    members = getattr(error, "exceptions", ())
    lines.extend(f"  | {exception_type(one)}: {exception_message(one)}\n" for one in members[:_FIRST])
    if len(members) > _FIRST:
        lines.append(f"  | … and {len(members) - _FIRST} more\n")
    return "".join(lines)


def _users(error: BaseException) -> TracebackType | None:
    """The traceback without our own frame at its top."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.endswith(_OURS):
        tb = tb.tb_next
    return tb
