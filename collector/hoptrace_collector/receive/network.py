"""How much the environment has sent and received, as the kernel counts it.

Only where it is true of this environment alone: in Lambda's microVM, whose interfaces have names of their own. On any
other machine, other programs share the counters, and there is no answer.
"""

__all__ = ["Network"]

_LAMBDAS = ("vinternal_1", "vint_runtime")


class Network:
    """Reads `path` (proc_net_dev(5)) until it turns out not to be Lambda's."""

    def __init__(self, path: str = "/proc/net/dev") -> None:
        self._path = path
        self._there = True

    def total(self) -> int | None:
        """Return the bytes received and sent since the environment was made; None where nobody can say."""
        if not self._there:
            return None
        try:
            with open(self._path, "rb") as file:
                lines = file.read(65536).decode("ascii", "replace").splitlines()
            return _total(lines)
        except (OSError, ValueError):
            self._there = False
            return None


def _total(lines: list[str]) -> int:
    found = [_bytes(values) for name, _, values in (line.partition(":") for line in lines) if name.strip() in _LAMBDAS]
    if not found:
        raise ValueError("not Lambda's")
    return sum(found)


def _bytes(values: str) -> int:
    """Add the first column, bytes received, and the ninth, bytes sent."""
    columns = values.split()
    if len(columns) < 9:
        raise ValueError("columns are missing")
    return int(columns[0]) + int(columns[8])
