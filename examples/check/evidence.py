"""What was brought home, and what can be concluded from it: the words that the judges share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Found = dict[str, Any]
HOLDS, FAILS, FACT, UNSEEN = "holds", "FAILS", "fact", "not seen"


@dataclass(frozen=True)
class Finding:
    """What came out: a verdict and, in a few words, what was seen."""

    verdict: str
    seen: str


@dataclass(frozen=True)
class Assumption:
    """One row; `assumed` is empty where nothing depends on the answer and it is only asked."""

    name: str
    question: str
    assumed: str
    judge: Callable[[Found], Finding]


def verdict(holds: object, seen: object) -> Finding:
    """A finding that something holds, or does not."""
    return Finding(HOLDS if holds else FAILS, str(seen))


def fact(seen: object) -> Finding:
    """A finding that is neither good nor bad."""
    return Finding(UNSEEN, "nothing") if seen in (None, "", [], {}) else Finding(FACT, str(seen))


def facts(found: Found) -> Any:
    """What the function saw around it."""
    return found["facts"]["answer"]["facts"]


def shell(found: Found) -> dict[str, str]:
    """What the shell that starts an extension can do."""
    shell: dict[str, str] = found["facts"]["shell"]
    if not shell:
        raise KeyError("shell.txt")
    return shell


def start(found: Found, scenario: str = "facts") -> Any:
    """What the extension noted at its start."""
    return next(line for line in found[scenario]["extension"] if line["kind"] == "start")


def events(found: Found, scenario: str) -> Iterator[tuple[float, int, Any]]:
    """Telemetry as it came: when (s since the epoch), how it was answered, the event."""
    for line in found[scenario]["extension"]:
        if line["kind"] == "telemetry" and isinstance(line["events"], list):
            for event in line["events"]:
                yield line["t"], line["status"], event


def statuses(found: Found, scenario: str, do: str) -> str:
    """What the platform says of the invocation that was asked to `do`."""
    wanted = next(line["request_id"] for line in found[scenario]["function"] if line.get("do") == do)
    seen = {}
    for _, status, event in events(found, scenario):
        record = event.get("record")
        if status == 200 and isinstance(record, dict) and record.get("requestId") == wanted and "status" in record:
            error = f" ({record['errorType']})" if record.get("errorType") else ""
            seen[event["type"].removeprefix("platform.")] = record["status"] + error
    if not seen:
        raise KeyError("no event of this invocation")
    return ", ".join(f"{kind}: {status}" for kind, status in sorted(seen.items()))
