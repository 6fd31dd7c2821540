"""What is recorded of an exception: type, message and stack, by OpenTelemetry's "Exceptions" conventions."""

import traceback

_OURS = "/hoptrace/bootstrap.py"
_LONGEST_CHAIN = 10
_LARGEST_GROUP = 50


def exception_type(error: BaseException) -> str:
    """The type's name as the conventions want it: with its module, unless it is a built-in."""
    kind = type(error)
    module = kind.__module__
    name = kind.__qualname__
    return name if module in ("builtins", "__main__", None) else f"{module}.{name}"


def exception_message(error: BaseException, length: int = 1024) -> str:
    """`str(error)`, or what stands for it when that raises (it is the user's code)."""
    try:
        return str(error)[:length]
    except Exception:
        return "<the exception's __str__ raised>"


def exception_attributes(error: BaseException, length: int) -> dict[str, object]:
    """Attributes of the `exception` event; a stack longer than `length` characters keeps its end."""
    return {
        "exception.type": exception_type(error),
        "exception.message": exception_message(error, length),
        "exception.stacktrace": _stack(error)[-length:],
    }


def _length(error: BaseException) -> int:
    """How many exceptions are chained to this one, counted to a little more than what is printed."""
    seen = 1
    following: BaseException | None = error
    while following is not None and seen <= _LONGEST_CHAIN:
        following = following.__cause__ or following.__context__
        seen += following is not None
    return seen


def _stack(error: BaseException) -> str:
    try:
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename.endswith(_OURS):
            tb = tb.tb_next
        chain = _length(error) <= _LONGEST_CHAIN
        if len(getattr(error, "exceptions", ())) > _LARGEST_GROUP:
            return "".join(traceback.format_tb(tb, limit=-64)) + type(error).__name__ + "\n"
        return "".join(traceback.format_exception(type(error), error, tb, limit=-64, chain=chain))
    except Exception:
        return ""
