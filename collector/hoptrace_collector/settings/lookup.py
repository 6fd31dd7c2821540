"""Looks variables up by type: a value that cannot be used becomes one complaint and the default."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hoptrace_collector.address import Url, parse_url

__all__ = ["Lookup", "unquote"]

_T = TypeVar("_T")


class Lookup:
    """Typed look-ups that complain once and fall back."""

    def __init__(self, env: Mapping[str, str], complaints: list[str]) -> None:
        self._env = env
        self._complaints = complaints

    def parsed(self, name: str, default: _T, parse: Callable[[str], _T], wanted: str) -> _T:
        """Return what `parse` makes of the variable; `wanted` says in a complaint what it should be."""
        text = self._env.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError:
            self._complaints.append(f"{name}={text[:40]!r} is not {wanted}; the default is used")
            return default

    def whole(self, name: str, default: int, least: int = 0, most: int = 2**53) -> int:
        """Return a whole number from `least` to `most`."""

        def parse(text: str) -> int:
            if not (text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most):
                raise ValueError
            return int(text)

        return self.parsed(name, default, parse, f"a whole number from {least} to {most}")

    def milliseconds(self, name: str, default: int, least: int = 1) -> float:
        """Return seconds; the variable is a whole number of milliseconds, as OpenTelemetry says of every duration."""
        return self.whole(name, default, least=least, most=2**31 - 1) / 1000.0

    def decimal(self, name: str, default: _T) -> float | _T:
        """Return a number such as `0.0000166667`; not negative, no more than a million."""

        def parse(text: str) -> Any:
            if not text.replace(".", "", 1).isdigit() or not text.isascii() or float(text) > 1e6:
                raise ValueError
            return float(text)

        return self.parsed(name, default, parse, "a number such as 0.5")

    def url(self, name: str) -> Url | None:
        """Return an address; None when there is none, or none that can be used."""
        text = self._env.get(name, "").strip()
        if not text:
            return None
        try:
            return parse_url(text)
        except ValueError as error:
            self._complaints.append(f"{name} is not an address that can be used: {error}")
            return None

    def text(self, name: str) -> str:
        """Return the value without blanks around it."""
        return self._env.get(name, "").strip()

    def one_of(self, name: str, values: tuple[str, ...], default: str) -> str:
        """Return one of `values`, in lower case."""

        def parse(text: str) -> str:
            if text.lower() not in values:
                raise ValueError
            return text.lower()

        return self.parsed(name, default, parse, f"one of {', '.join(values)}")

    def function_logs(self, name: str) -> bool:
        """Return whether the function's logs are shipped."""

        def parse(text: str) -> bool:
            if text.lower() not in ("otlp", "none"):
                raise ValueError
            return text.lower() == "otlp"

        return self.parsed(name, False, parse, "otlp or none")

    def complain(self, line: str) -> None:
        """Note one complaint."""
        self._complaints.append(line)


def unquote(text: str) -> str:
    """Decode %XX as UTF-8. What is no valid escape stays as it is."""
    if "%" not in text:
        return text
    first, *rest = text.encode("utf-8", "replace").split(b"%")
    out = [first]
    for part in rest:
        digits = part[:2]
        escape = len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits)
        out += [bytes([int(digits, 16)]), part[2:]] if escape else [b"%", part]
    return b"".join(out).decode("utf-8", "replace")
