"""What is set about alerts and invocation summaries."""

from collections.abc import Mapping
from typing import NamedTuple

from hoptrace_collector.settings.lookup import Lookup

__all__ = ["Alerting", "read_alerting"]

RULES, SUMMARIES = "HOPTRACE_RULES", "HOPTRACE_INVOCATION_EVENTS"
TASK_ROOT = "/var/task"


class Alerting(NamedTuple):
    """`bus` is the event bus, empty for none; `rules` a path, a reference or the rules themselves.

    `link` is an address with `{trace_id}` in it; `summaries` is `all`, or a condition, or empty for none; `package` the
    folder of the function's code.
    """

    bus: str = ""
    rules: str = ""
    link: str = ""
    summaries: str = ""
    package: str = TASK_ROOT


def read_alerting(env: Mapping[str, str], get: Lookup) -> Alerting:
    """Read what is set about alerts."""
    bus = get.text("HOPTRACE_ALERT_EVENT_BUS")
    found = Alerting(
        bus=bus,
        rules=get.text(RULES),
        link=get.text("HOPTRACE_TRACE_LINK"),
        summaries=get.text(SUMMARIES),
        # Lambda does not tell an extension; an emulator may.
        package=env.get("LAMBDA_TASK_ROOT", "") or TASK_ROOT,
    )
    for name, value in ((RULES, found.rules), (SUMMARIES, found.summaries)):
        if value and not bus:
            get.complain(
                f"{name} is set but HOPTRACE_ALERT_EVENT_BUS, the bus that events go to, is not: none are sent"
            )
    return found
