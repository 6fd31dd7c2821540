"""What the layer's `hoptrace.pth` runs in every Python process that has the layer on its path.

In a Lambda function's process the runtime client is imported by then and the handler is not: its `_get_handler` is
wrapped, which leaves `_HANDLER` and every loading error exactly as they are. Any other process is left alone at no
cost.
"""

import sys

_MARK = "__hoptrace_attached__"


def attach() -> bool:
    """Attach to the runtime client of this process; whether it is attached. Never raises; twice is harmless."""
    runtime = sys.modules.get("awslambdaric.bootstrap")
    if runtime is None:
        return False
    try:
        if getattr(runtime, _MARK, False):
            return True
        from .settings import settings

        if settings().disabled:
            return False
        load = getattr(runtime, "_get_handler", None)
        if load is None:
            return False
        setattr(runtime, _MARK, True)  # seen by the import that follows
        from . import entry

        if entry.session() is None:
            return False
        runtime._get_handler = entry.load_traced(load)  # type: ignore[attr-defined]
    except Exception as error:
        from .guard import swallowed

        swallowed("attach", error)
        return False
    return True
