"""Calls that are allowed and calls that are not, by lists of AWS actions and hosts: noted, or stopped before they go.

It sees the calls that hoptrace traces and no others: a net below mistakes, and no sandbox. What is denied is denied
whatever is allowed; once an action is allowed, no other is, and the same for hosts.
"""

import re
import threading
from fnmatch import translate

from ..guard import say
from ..settings import Settings, settings
from ..spans import Span

DENIED = "hoptrace.policy.denied"
"""Of a span and of its event; on the span, the rule."""

_OPERATION = "hoptrace.policy.operation"
_RULE = "hoptrace.policy.rule"
_MODE = "hoptrace.policy.mode"
_NOT_LISTED = "not in HOPTRACE_POLICY_ALLOW"
_counting = threading.Lock()


class Denied(Exception):
    """A call that the policy does not allow; it was not made.

    Attributes:
        operation: what was called: `dynamodb:DeleteTable`, or a host.
        rule: the entry of `HOPTRACE_POLICY_DENY`, or that none of `HOPTRACE_POLICY_ALLOW` has it.
    """

    passes_guard = True  # raised in our own code, and meant for the user's

    def __init__(self, operation: str, rule: str) -> None:
        super().__init__(operation, rule)
        self.operation = operation
        self.rule = rule

    def __str__(self) -> str:
        why = self.rule if self.rule == _NOT_LISTED else f"HOPTRACE_POLICY_DENY has {self.rule}"
        return f"{self.operation} was not called: {why}"


Denied.__module__ = "hoptrace"
Rule = tuple[str, re.Pattern[str]]


class Rules:
    """Entries of one list, AWS actions and hosts apart."""

    __slots__ = ("actions", "hosts")

    def __init__(self, name: str, entries: list[str]) -> None:
        self.actions: list[Rule] = []
        self.hosts: list[Rule] = []
        for entry in entries:
            if entry == "*":
                self.actions.append(_rule(entry))
                self.hosts.append(_rule(entry))
            elif _is_action(entry):
                self.actions.append(_rule(entry))
            else:
                host = entry.partition("://")[2].partition("/")[0] if "://" in entry else entry
                self.hosts.append((entry, _rule(host.replace("[", "").replace("]", ""))[1]))
                if "." not in host and ":" not in host and host != "localhost":
                    say(f"{name}: {entry!r} is taken for a host; all actions of a service are written {entry + ':*'!r}")


class Policy:
    """Both lists."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, knobs: Settings) -> None:
        self._allow = Rules("HOPTRACE_POLICY_ALLOW", knobs.listed("HOPTRACE_POLICY_ALLOW"))
        self._deny = Rules("HOPTRACE_POLICY_DENY", knobs.listed("HOPTRACE_POLICY_DENY"))

    def action(self, services: set[str], operation: str) -> Denied | None:
        """What is wrong with an AWS call, by any of the service's names."""
        names = [f"{service}:{operation}".lower() for service in sorted(services)]
        rule = _judged(names, self._deny.actions, self._allow.actions)
        return None if rule is None else Denied(f"{min(services, key=len)}:{operation}", rule)

    def host(self, host: str, port: int | None) -> Denied | None:
        """What is wrong with a request to a host."""
        host = host.lower().rstrip(".").strip("[]")
        rule = _judged([host, f"{host}:{port}"], self._deny.hosts, self._allow.hosts)
        return None if rule is None else Denied(host, rule)


def _judged(names: list[str], deny: list[Rule], allow: list[Rule]) -> str | None:
    for entry, rule in deny:
        if any(map(rule.match, names)):
            return entry
    if allow and not any(rule.match(name) for _, rule in allow for name in names):
        return _NOT_LISTED
    return None


def _rule(entry: str) -> Rule:
    return entry, re.compile(translate(entry.replace("[", "[[]")), re.IGNORECASE)


def _is_action(entry: str) -> bool:
    service, colon, operation = entry.partition(":")
    return (
        bool(colon)
        and "." not in service
        and not service.startswith("[")
        and not operation.isdigit()
        and ":" not in (operation)
        and "/" not in operation
    )


_current: tuple[Settings, Policy] | None = None


def policy() -> Policy:
    """What this process's settings say; made by the first that asks."""
    global _current
    knobs = settings()
    found = _current
    if found is None or found[0] is not knobs:
        found = _current = (knobs, Policy(knobs))
    return found[1]


def action(model: object, operation: str) -> Denied | None:
    """What is wrong with a call of the service that a botocore model describes; its names are botocore's and IAM's."""
    names = (getattr(model, name, None) for name in ("service_name", "signing_name", "endpoint_prefix"))
    return policy().action({name for name in names if isinstance(name, str)}, operation)


def blocks() -> bool:
    """Whether what is denied is stopped."""
    return settings().policy == "block"


def note(span: Span, denied: Denied) -> None:
    """Tell of it on the call's span, and count it for the invocation's."""
    span.set_attribute(DENIED, denied.rule)
    span.add_event(
        DENIED, {_OPERATION: denied.operation, _RULE: denied.rule, _MODE: "block" if blocks() else "observe"}
    )
    if span.course is not None:
        with _counting:
            span.course.denied += 1
