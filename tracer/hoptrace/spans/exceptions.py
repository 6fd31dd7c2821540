"""What is recorded of an exception: type, message and stack, by OpenTelemetry's "Exceptions" conventions."""

import traceback

_OURS = "/hoptrace/bootstrap.py"


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


def _stack(error: BaseException) -> str:
    try:
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename.endswith(_OURS):
            tb = tb.tb_next
        return "".join(traceback.format_exception(type(error), error, tb, limit=-64))
    except Exception:
        return ""
