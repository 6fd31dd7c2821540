"""What a run of the demo came to: everything that was seen, before anybody judges it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hoptrace_local.demo.browser import Visit
from hoptrace_local.otlp import Point, Span
from hoptrace_local.stage.wiretap import Answered


@dataclass(frozen=True, slots=True)
class Counted:
    """What the local Lambda counted of one function."""

    invocations: int
    cold_starts: int
    errors: int
    timeouts: int
    peak_concurrency: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that the checks and the report are made of."""

    visit: Visit
    spans: list[Span]
    points: list[Point]
    counted: Mapping[str, Counted]
    answered: list[Answered]
    mapping_result: str
    shipments: Mapping[str, Mapping[str, str]]
    circuit: Mapping[str, str]
    timeouts: Mapping[str, float]
    steps: list[tuple[str, float]] = field(default_factory=list)

    @property
    def alert(self) -> dict[str, Any]:
        """The alert event as the remedy function received it; empty when it received none."""
        try:
            event = json.loads(self.circuit.get("alert", "{}"))
        except ValueError:
            return {}
        return event if isinstance(event, dict) else {}

    @property
    def trace(self) -> list[Span]:
        """The spans of the customer's trace."""
        return [span for span in self.spans if span.trace_id == self.visit.trace_id]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "trace_id": self.visit.trace_id,
            "orders": [asdict(placed) for placed in self.visit.placed],
            "spans": [{**asdict(span), "service": span.service} for span in self.spans],
            "metrics": [asdict(point) for point in self.points],
            "host": {name: asdict(counted) for name, counted in self.counted.items()},
            "answered": [asdict(answer) for answer in self.answered],
            "mapping_result": self.mapping_result,
            "shipments": {key: dict(value) for key, value in self.shipments.items()},
            "circuit": dict(self.circuit),
            "alert": self.alert,
            "timeouts": dict(self.timeouts),
            "steps": [list(step) for step in self.steps],
        }
