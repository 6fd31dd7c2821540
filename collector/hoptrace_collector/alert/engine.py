"""Asks the rules about everything that is observed, and says what changes.

A deterministic machine without a clock: it is told when each thing happened and what time it is. In which order things
come, and whether they come twice, makes no difference to where an alert is in the end (but for rules with `for` or a
cool-down, which are about how long it was so).
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from hoptrace_collector.alert.causes import Cause
from hoptrace_collector.alert.compiled import Get
from hoptrace_collector.alert.decisions import ALARM, OK, PENDING, State, Step, decide, ended
from hoptrace_collector.alert.rules import Rule
from hoptrace_collector.alert.windows import Window, inputs_of

__all__ = ["Change", "Engine"]

MOST_GROUPS = 100
_LONGEST_LABEL = 200
OTHER = "_OTHER"
_MOST_CLEARED = 200
# Of a rule's windows, what is written down for the next generation: that must not take what little time a reset leaves.
_MOST_SAVED, _LEAST_SAVED = 5_000, 20

Labels = tuple[str, ...]
Partial = tuple[str | None, ...]
MakeCause = Callable[[], Cause]


class Change(NamedTuple):
    """What is to be told of one alert; `values` are those of a window's samples, `observations` how much is in it."""

    rule: Rule
    labels: dict[str, str]
    before: State
    after: State
    transition: str
    cause: Cause
    values: dict[str, Any]
    observations: int


class _Group:
    """One alert of a rule: that of one set of labels. `matched` and `cleared` are times, 0 for never."""

    __slots__ = ("cause", "cleared", "matched", "state", "window")

    def __init__(self, window: Window | None, cleared: int) -> None:
        self.state = State()
        self.matched = 0
        self.cleared = cleared
        self.cause: Cause | None = None
        self.window = window


class _Watch:
    """One rule and its alerts."""

    def __init__(self, rule: Rule, started: int) -> None:
        self.rule = rule
        self.groups: dict[Labels, _Group] = {}
        self.cleared: dict[Partial, int] = {}
        self._started = started
        if rule.waits_for_silence and not rule.by:
            self._group(())

    def observe(self, at: int, ident: str, get: Get, make_cause: MakeCause, now: int) -> list[Change]:
        rule = self.rule
        if rule.where is not None and not rule.where(get):
            return []
        if rule.samples:
            return self._count(at, ident, get, make_cause, now)
        if rule.when(get):
            return self._match(at, get, make_cause, now)
        if rule.resolve is None or rule.resolve(get):
            return self._clear(at, get, now)
        return []

    def tick(self, now: int) -> list[Change]:
        changes = []
        for labels, group in list(self.groups.items()):
            changes += self._ask(labels, group, now)
            if group.state.value == OK and not group.window and not self._cools(group, now):
                self._forget(labels)
        return changes

    def _cools(self, group: _Group, now: int) -> bool:
        return bool(group.state.opened) and now - group.state.opened < self.rule.cooldown * 1e9

    def _forget(self, labels: Labels) -> None:
        """Let an alert go that says nothing any more, but for what is not to be said of it again."""
        group = self.groups[labels]
        if self.rule.waits_for_silence:
            return
        if group.window is None and group.cleared > self.cleared.get(labels, 0):
            self.cleared[labels] = group.cleared
        del self.groups[labels]

    def end(self, now: int) -> list[Change]:
        changes = []
        for labels, group in self.groups.items():
            step = ended(group.state, now)
            changes += self._step(labels, group, step, now)
        return changes

    def _match(self, at: int, get: Get, make_cause: MakeCause, now: int) -> list[Change]:
        labels = tuple(_label(get(name)) or "" for name in self.rule.by)
        labels, group = self._group(labels)
        if at > group.matched or group.cause is None:
            group.matched = at
            group.cause = self._cause(get, make_cause)
        return self._ask(labels, group, now)

    def _clear(self, at: int, get: Get, now: int) -> list[Change]:
        partial: Partial = tuple(_label(get(name)) for name in self.rule.by) if self.rule.by else ()
        if at > self.cleared.get(partial, 0):
            self.cleared[partial] = at
            if len(self.cleared) > _MOST_CLEARED:
                del self.cleared[min(self.cleared, key=self.cleared.__getitem__)]
        if not self.groups:
            return []
        changes = []
        for labels, group in self.groups.items():
            if _agree(partial, labels) and at > group.cleared:
                group.cleared = at
                changes += self._ask(labels, group, now)
        return changes

    def _count(self, at: int, ident: str, get: Get, make_cause: MakeCause, now: int) -> list[Change]:
        inputs = inputs_of(self.rule.samples, get)
        if inputs is None and not self.groups:
            return []
        labels = tuple(_label(get(name)) or "" for name in self.rule.by) if self.rule.by else ()
        group = self.groups.get(labels)
        if inputs is None:
            return self._ask(labels, group, now) if group is not None else []
        if group is None:
            labels, group = self._group(labels)
        assert group.window is not None
        added = group.window.add(at, ident, inputs, now)
        # Whatever a condition is about, the last that it counted stands for it.
        if added and any(value is not None and value is not False for value in inputs) and at > group.matched:
            group.matched = at
            group.cause = self._cause(get, make_cause)
        return self._ask(labels, group, now)

    def _ask(self, labels: Labels, group: _Group, now: int) -> list[Change]:
        """Ask whether the rule holds of a group by now."""
        window = group.window
        if window is None:
            holds = group.matched > 0 and group.matched >= group.cleared
        else:
            window.trim(now)
            enough = self.rule.waits_for_silence or len(window) >= max(1, self.rule.minimum)
            holds = enough and self.rule.when(window.values(now).get)
        if not holds and group.state.value == OK:
            return []
        return self._step(labels, group, decide(self.rule, group.state, holds, now), now)

    def _step(self, labels: Labels, group: _Group, step: Step, now: int) -> list[Change]:
        before, group.state = group.state, step.state
        if not step.transition:
            return []
        cause = group.cause or Cause(now, "")
        values = {} if group.window is None else group.window.told(now)
        count = 0 if group.window is None else len(group.window)
        named = dict(zip(self.rule.by, labels, strict=True))
        return [Change(self.rule, named, before, step.state, step.transition, cause, values, count)]

    def _cause(self, get: Get, make_cause: MakeCause) -> Cause:
        observed = {name: _told(get(name)) for name in self.rule.names}
        return make_cause()._replace(observed={name: value for name, value in observed.items() if value is not None})

    def _window(self) -> Window:
        return Window(self.rule.samples, self.rule.window, self._started)

    def _group(self, labels: Labels) -> tuple[Labels, _Group]:
        group = self.groups.get(labels)
        if group is not None:
            return labels, group
        if len(self.groups) >= MOST_GROUPS and not self._make_room():
            labels = (OTHER,) * len(labels)
            if labels in self.groups:
                return labels, self.groups[labels]
        cleared = max((at for partial, at in self.cleared.items() if _agree(partial, labels)), default=0)
        group = self.groups[labels] = _Group(self._window() if self.rule.samples else None, cleared)
        return labels, group

    def _make_room(self) -> bool:
        """Forget an alert that is not open, the one that was last thought of the longest ago."""
        quiet = [labels for labels, group in self.groups.items() if group.state.value == OK]
        if quiet:
            del self.groups[min(quiet, key=lambda labels: self.groups[labels].matched)]
        return bool(quiet)

    # What the next generation has to know.

    def to_json(self) -> dict[str, Any]:
        most = max(_LEAST_SAVED, _MOST_SAVED // max(1, len(self.groups)))
        return {
            "by": list(self.rule.by),
            "groups": [
                [
                    list(labels),
                    list(group.state),
                    group.matched,
                    group.cleared,
                    group.cause.to_json() if group.cause is not None else None,
                    [[*entry[:2], list(entry[2])] for entry in group.window.entries[-most:]] if group.window else [],
                ]
                for labels, group in self.groups.items()
                if group.state != State() or group.window or group.matched
            ],
            "cleared": [[list(partial), at] for partial, at in self.cleared.items()],
        }

    def load(self, value: object) -> None:
        if not isinstance(value, dict) or value.get("by") != list(self.rule.by):
            return
        for item in _items(value.get("cleared")):
            if _is_list(item, 2) and _are_labels(item[0], self.rule, True) and isinstance(item[1], int):
                self.cleared[tuple(item[0])] = item[1]
        for item in _items(value.get("groups")):
            if _is_list(item, 6) and _are_labels(item[0], self.rule, False):
                self._load_group(item)

    def _load_group(self, item: list[Any]) -> None:
        labels, state, matched, cleared, cause, entries = item
        if not (_is_list(state, 4) and state[0] in (OK, PENDING, ALARM) and all(isinstance(n, int) for n in state[1:])):
            return
        if not isinstance(matched, int) or not isinstance(cleared, int) or len(self.groups) >= MOST_GROUPS:
            return
        _, group = self._group(tuple(labels))
        group.state, group.matched = State(*state), matched
        group.cleared = max(group.cleared, cleared)
        group.cause = Cause.from_json(cause)
        if group.window is None:
            return
        for entry in _items(entries):
            if _is_list(entry, 3) and isinstance(entry[0], int) and isinstance(entry[1], str):
                inputs = entry[2]
                if _is_list(inputs, len(self.rule.samples)) and all(_is_input(part) for part in inputs):
                    group.window.add(entry[0], entry[1], tuple(inputs), entry[0])


class Engine:
    """The rules of the scopes that can be judged from here. `started`: since when it watches, in nanoseconds."""

    def __init__(self, rules: Iterable[Rule], scopes: Collection[str], started: int) -> None:
        self.started = started
        self.now = started
        self._watches = {rule.name: _Watch(rule, started) for rule in rules if rule.scope in scopes}
        self._by_kind: dict[str, list[_Watch]] = {}
        for watch in self._watches.values():
            self._by_kind.setdefault(watch.rule.of, []).append(watch)

    def wants(self, kind: str) -> bool:
        """Whether any rule is about this kind of thing."""
        return kind in self._by_kind

    def needs(self, kind: str) -> frozenset[str] | None:
        """Return the attributes of which one must be there for any rule to have a say; None where none need be."""
        needs = [watch.rule.needs for watch in self._by_kind.get(kind, ())]
        return None if None in needs else frozenset().union(*(each for each in needs if each is not None))

    def observe(self, kind: str, at: int, ident: str, get: Get, make_cause: MakeCause) -> list[Change]:
        """Ask the rules about one thing that happened at `at`; `ident` is its own, whenever it comes again."""
        now = self.now = max(self.now, at)
        changes: list[Change] = []
        for watch in self._by_kind.get(kind, ()):
            changes += watch.observe(at, ident, get, make_cause, now)
        return changes

    def tick(self, now: int) -> list[Change]:
        """Say what has changed by the mere passing of time."""
        now = self.now = max(self.now, now)
        return [change for watch in self._watches.values() if watch.groups for change in watch.tick(now)]

    def end(self, now: int) -> list[Change]:
        """Say what has to be said before nobody watches any more: what is over by now is over, and not unknown."""
        changes = self.tick(now)
        for watch in self._watches.values():
            changes += watch.end(self.now)
        return changes

    def without(self, other: "Engine", now: int) -> list[Change]:
        """Say what has to be said of alerts whose rule the `other` engine, which comes after this one, has no more."""
        gone = [watch for name, watch in self._watches.items() if not other.goes_on(watch.rule)]
        return [change for watch in gone for change in watch.end(max(self.now, now))]

    def goes_on(self, rule: Rule) -> bool:
        """Whether the alerts of a rule have a place here."""
        watch = self._watches.get(rule.name)
        return watch is not None and watch.rule.by == rule.by

    def to_json(self) -> dict[str, Any]:
        """Return all that is to be remembered, as JSON can hold it."""
        states = {name: watch.to_json() for name, watch in self._watches.items() if watch.groups or watch.cleared}
        return {"started": self.started, "rules": states}

    @classmethod
    def from_json(cls, value: object, rules: Iterable[Rule], scopes: Collection[str], started: int) -> "Engine":
        """Go on from what `to_json` wrote; what does not fit is left out."""
        known = value if isinstance(value, dict) else {}
        before = known.get("started")
        engine = cls(rules, scopes, min(started, before) if isinstance(before, int) and before > 0 else started)
        engine.now = started
        states = known.get("rules")
        for name, watch in engine._watches.items():
            watch.load(states.get(name) if isinstance(states, dict) else None)
        return engine


def _label(value: Any) -> str | None:
    """Return a value as a label; None for what is not there."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value[:_LONGEST_LABEL] if isinstance(value, str) else str(value)[:_LONGEST_LABEL]


def _told(value: Any) -> str | int | float | bool | None:
    """Return a field's value as an event can have it."""
    if isinstance(value, str):
        return value[:_LONGEST_LABEL]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if -(2**53) <= value <= 2**53 else str(value)[:_LONGEST_LABEL]
    return str(value)[:_LONGEST_LABEL]


def _agree(partial: Partial, labels: Labels) -> bool:
    """Whether what has no label, or the same, says something about these labels."""
    return all(one is None or one == other for one, other in zip(partial, labels, strict=True))


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_list(value: object, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _are_labels(value: object, rule: Rule, partial: bool) -> bool:
    return _is_list(value, len(rule.by)) and all(
        isinstance(label, str) or (partial and label is None) for label in _items(value)
    )


def _is_input(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float)
