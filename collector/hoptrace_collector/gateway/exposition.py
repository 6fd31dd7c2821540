"""Writes the gateway's own numbers as Prometheus reads them (text format 0.0.4).

Counters only grow, from the start of the process. The names of reasons are our own, so nothing a stranger sends becomes
a label, and the number of series stays small.
"""

from collections.abc import Mapping

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SIGNALS = ("metrics", "logs")
_BY_SIGNAL = ("received", "sent", "failed", "dropped")


def exposition(totals: Mapping[tuple[str, str], int], gauges: Mapping[str, tuple[str, Mapping[str, float]]]) -> str:
    """Return the page: `totals` by (kind, reason) since the start; `gauges`: name to (help, signal or "" to value)."""
    counters: dict[str, dict[str, int]] = {}
    for (kind, reason), count in totals.items():
        name, labels = _named(kind, reason)
        counters.setdefault(name, {})[labels] = count
    lines = []
    for name, values in sorted(counters.items()):
        lines.append(f"# TYPE {name} counter")
        lines += [f"{name}{labels} {count}" for labels, count in sorted(values.items())]
    for name, (told, by_signal) in sorted(gauges.items()):
        lines.append(f"# HELP {name} {told}")
        lines.append(f"# TYPE {name} gauge")
        lines += [f"{name}{_labels(signal=signal)} {value:.10g}" for signal, value in sorted(by_signal.items())]
    return "\n".join(lines) + "\n"


def _named(kind: str, reason: str) -> tuple[str, str]:
    signal, _, rest = kind.partition("_")
    if kind in _BY_SIGNAL:
        signal, rest = "traces", kind
    elif signal not in _SIGNALS or rest not in _BY_SIGNAL:
        signal, rest = "", kind
    return f"hoptrace_collector_{rest}_total", _labels(reason=reason, signal=signal)


def _labels(**labels: str) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    shown = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items() if value)
    return f"{{{shown}}}" if shown else ""
