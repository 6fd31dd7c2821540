"""Puts alerts together out of the settings; a mistake of the user's costs the rule in which it stands, and no other."""

import os
from collections.abc import Callable
from typing import Any

from hoptrace_collector.address import Url
from hoptrace_collector.alert.alerts import Alerts
from hoptrace_collector.alert.compiled import Get, compile_condition
from hoptrace_collector.alert.eventbridge import EventBridge
from hoptrace_collector.alert.events import Target
from hoptrace_collector.alert.grammar import aggregates_in, parse
from hoptrace_collector.alert.sources import is_reference, read_package, read_setting
from hoptrace_collector.alert.tokens import ExpressionError
from hoptrace_collector.aws.api import Api
from hoptrace_collector.aws.credentials import CredentialsSource
from hoptrace_collector.counters import Counters
from hoptrace_collector.settings import Settings

__all__ = ["make_alerts"]


def make_alerts(
    settings: Settings, events: Url, counters: Counters, *, clock: Callable[[], float], now: Callable[[], int]
) -> Alerts:
    """Return the alerts of a function; `events` is EventBridge's address."""
    alerting = settings.alerting
    api = Api("events", events, settings.region, CredentialsSource(settings.aws), proxies=settings.proxies)
    tables: dict[str, Any] = {}
    for found in (read_package(alerting.package, _read), read_setting(alerting.rules, _read)):
        tables.update(found.rules)
        for line in found.complaints:
            counters.say(f"rules {line[:100]}", line)
    remote = None
    if is_reference(alerting.rules):
        # Only for who has rules elsewhere.
        from hoptrace_collector.alert.remote import Remote

        remote = Remote(alerting.rules, settings.aws, settings.proxies)
    alerts = Alerts(
        os.path.join(settings.run_dir, "alerts.json"),
        Target(alerting.bus, settings.function_name, alerting.link),
        EventBridge(api),
        counters,
        tables=tables,
        remote=remote,
        memory=settings.memory,
        initialization_type=settings.initialization_type,
        clock=clock,
        now=now,
    )
    wanted = _wanted(alerting.summaries, counters)
    if wanted is not None:
        alerts.summarise(wanted)
    return alerts


def _wanted(text: str, counters: Counters) -> Callable[[Get], bool] | None:
    if not text:
        return None
    if text.lower() == "all":
        return lambda _: True
    try:
        node = parse(text)
        if found := aggregates_in(node):
            raise ExpressionError(f"{found[0].value} is for rules: a summary is of one invocation", found[0].at)
        return compile_condition(node, {})
    except ExpressionError as error:
        counters.say(
            "summaries",
            f"HOPTRACE_INVOCATION_EVENTS, character {error.at + 1}: {error.message}; it is all, or a condition such as "
            '"coldstart and duration > 1s". No summaries are sent',
        )
        return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
