"""What is set about metrics."""

from typing import NamedTuple

from hoptrace_collector.settings.lookup import Lookup

__all__ = ["Measuring", "read_measuring"]

EMF, NAMESPACE = "HOPTRACE_METRICS_EMF", "HOPTRACE_METRICS_EMF_NAMESPACE"
DEFAULT_NAMESPACE = "hoptrace"


class Measuring(NamedTuple):
    """Prices in US dollars: `gb_second` None stands for the list price.

    `emf` are the names of the metrics that go to CloudWatch by the log (`*` at an end for any), in `namespace`.
    """

    gb_second: float | None = None
    million_requests: float = 0.2
    emf: tuple[str, ...] = ()
    namespace: str = DEFAULT_NAMESPACE


def read_measuring(get: Lookup) -> Measuring:
    """Read what is set about metrics."""
    return Measuring(
        gb_second=get.decimal("HOPTRACE_PRICE_PER_GB_SECOND", None),
        million_requests=get.decimal("HOPTRACE_PRICE_PER_MILLION_REQUESTS", 0.2),
        emf=get.parsed(EMF, (), _emf, "true, false or names of metrics such as faas.*"),
        namespace=get.parsed(NAMESPACE, DEFAULT_NAMESPACE, _namespace, "a CloudWatch namespace"),
    )


def _emf(text: str) -> tuple[str, ...]:
    if text.lower() in ("true", "false"):
        return ("*",) if text.lower() == "true" else ()
    # Only for who names some.
    from hoptrace_collector.metrics_table import TABLE

    wanted = tuple(name.strip() for name in text.split(","))
    for name in wanted:
        if not any(known == name or (name.endswith("*") and known.startswith(name[:-1])) for known in TABLE):
            raise ValueError
    return wanted


def _namespace(text: str) -> str:
    """By "Namespaces" of the CloudWatch user guide; those of AWS are its own."""
    if len(text) > 255 or text.startswith("AWS/") or not text.isascii():
        raise ValueError
    if not all(c.isalnum() or c in ".-_/#: " for c in text):
        raise ValueError
    return text
