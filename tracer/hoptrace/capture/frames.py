"""The local variables of the user's own frames that an exception passed; not those of libraries, of Python or of ours.

A module's and a class body's are left out: they are no locals. What they hold goes through the same limits and the same
redaction as every payload.
"""

import os

MOST_FRAMES = 10
"""The innermost ones: where it happened."""

_MOST_PASSED = 1000
_NOT_THE_USERS = ("/opt/", "/var/lang/", "/var/runtime/", "<frozen", os.path.dirname(os.__file__) + os.sep)
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NO_FUNCTIONS = 0x2  # CO_NEWLOCALS: what a function's code has and a module's has not
_OPTIMIZED = 0x1  # CO_OPTIMIZED: and a class body's has not


def told(error: BaseException) -> list[dict[str, object]]:
    """The frames, innermost first, each with its function, its line and its variables."""
    found: list[dict[str, object]] = []
    at, passed = error.__traceback__, 0
    while at is not None and passed < _MOST_PASSED:
        code = at.tb_frame.f_code
        if is_users(code.co_filename) and code.co_flags & _OPTIMIZED and code.co_flags & _NO_FUNCTIONS:
            variables = at.tb_frame.f_locals
            found.append({"function": code.co_qualname, "line": at.tb_lineno, "locals": dict(variables)})
            del found[:-MOST_FRAMES]
        at, passed = at.tb_next, passed + 1
    found.reverse()
    return found


def is_users(name: str) -> bool:
    """Whether a file is the user's own code."""
    if any(part in name for part in _PACKAGES):
        return False
    return not name.startswith(_NOT_THE_USERS) and not name.startswith(_OURS)
