"""Asks the deployed probes, one scenario after another, and brings home what they wrote down.

Nothing here judges: the answers are one JSON object, `{scenario: what was seen}`, and `assumptions.py` reads it. What
cannot be asked in one world (a schedule on a desk) is left out, and is reported as not seen.
"""

import base64
import datetime as dt
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

#: A root whose first 32 bits are no recent time, as those of random trace ids are not.
ODD_TRACE = "fedcba98765432100123456789abcdef"
ODD_ROOT = f"1-{ODD_TRACE[:8]}-{ODD_TRACE[8:]}"
ODD_SPAN = "53995c3f42cd8ad8"
ODD_HEADER = f"Root={ODD_ROOT};Parent={ODD_SPAN};Sampled=1"
TRACEPARENT = f"00-{ODD_TRACE}-{ODD_SPAN}-01"

MARK = "HOPTRACE-CHECK "


@dataclass(frozen=True)
class Answer:
    """What Invoke gave back."""

    payload: Any
    error: str | None


class World(Protocol):
    """AWS, or what stands for it."""

    def invoke(self, probe: str, event: Any, *, context: Any = None, header: str = "", traceparent: str = "") -> Answer:
        """Invoke a probe by its short name; `context` is the client context, the others are HTTP headers."""

    def send(self, service: str, operation: str, **parameters: Any) -> Any:
        """One boto3 call."""

    def place(self, name: str) -> str:
        """What the stack calls a queue, topic, bus or table; empty when there is none."""

    def kept(self, consumer: str) -> list[dict[str, Any]]:
        """What a consumer has kept so far."""

    def said(self, probe: str) -> list[str]:
        """The lines of a probe's log that carry evidence."""


def gather(world: World, *, patience: float, pace: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """Run every scenario.

    Args:
        pace: factor for the probes' own waits, which fit the template's settings.
        patience: seconds to wait for what arrives by itself, such as messages.
        tell: hears what is being done.
    """
    run = uuid.uuid4().hex[:12]
    found: dict[str, Any] = {}
    scenarios: dict[str, Callable[[], Any]] = {
        "facts": lambda: _facts(world),
        "late": lambda: _after(world, "Late", [{"do": "wait", "seconds": 4 * pace}, {"do": "nothing"}], 0.5 * pace),
        "refusing": lambda: _after(
            world, "Refusing", [{"do": "wait", "seconds": 7 * pace}, {"do": "nothing"}], 0.5 * pace
        ),
        "raised": lambda: _after(world, "Raising", [{"do": "raise"}], 0.5 * pace),
        "timeout": lambda: _after(world, "TimingOut", [{"do": "sleep", "seconds": 30}], 2.5 * pace),
        "exit": lambda: _after(world, "Exiting", [{"do": "exit"}], 2.5 * pace),
        "memory": lambda: _after(world, "Filling", [{"do": "fill"}], 2.5 * pace),
        "quiet": lambda: _after(world, "Quiet", [{"do": "say", "text": "something"}, {"do": "raise"}], 0.5 * pace),
        "python_path": lambda: _python_path(world),
        "snapped": lambda: _snapped(world),
        "context": lambda: _contexts(world),
        "hops": lambda: _hops(world, run, patience, tell),
        "asynchronous": lambda: _asynchronous(world, run, patience, tell),
        "schedule": lambda: _first(world, "schedule", patience, lambda _: True) if world.place("Scheduled") else None,
    }
    for name, ask in scenarios.items():
        tell(f"asking about: {name}")
        try:
            found[name] = ask()
        except Exception as error:  # one question that fails must not cost the others
            found[name] = {"failed": f"{type(error).__name__}: {error}"}
    return found


def endings(world: World) -> list[dict[str, Any]]:
    """What the probes said in their logs at the end of their environments."""
    found = []
    for probe in ("Ending", "TimingOut", "Exiting", "Filling"):
        for line in world.said(probe):
            _, _, evidence = line.partition(MARK)
            try:
                found.append({"probe": probe, **json.loads(evidence)})
            except ValueError:
                continue
    return sorted(found, key=lambda each: float(each.get("t", 0)))


def evidence(world: World, probe: str) -> dict[str, Any]:
    """What the probe's environment has written down: parsed lines, and the shell's facts."""
    answer = world.invoke(probe, {"do": "collect"}).payload
    brought = answer["evidence"] if isinstance(answer, dict) and "evidence" in answer else {}
    lines = {name: list(_lines(brought.get(f"{name}.jsonl", ""))) for name in ("extension", "function")}
    shell = dict(line.partition("=")[::2] for line in brought.get("shell.txt", "").splitlines() if "=" in line)
    return {**lines, "shell": shell, "shell_errors": brought.get("shell.err", "")[:2000]}


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _facts(world: World) -> dict[str, Any]:
    # The first invocation makes the environment, the second finds it there.
    first = world.invoke("Plain", {"do": "nothing"}, header=ODD_HEADER)
    second = world.invoke("Plain", {"do": "facts"})
    time.sleep(0.2)
    return {"first": first.payload, "answer": second.payload, **evidence(world, "Plain")}


def _snapped(world: World) -> dict[str, Any]:
    answer = world.invoke("Snapped", {"do": "facts"})
    for _ in range(5):
        time.sleep(0.5)
        brought = evidence(world, "Snapped")
        if _told(brought):
            break
    return {"answer": answer.payload, **brought}


def _after(world: World, probe: str, events: list[Any], pause: float) -> dict[str, Any]:
    answers = []
    for event in events:
        answer = world.invoke(probe, event)
        answers.append({"payload": answer.payload, "error": answer.error})
    time.sleep(pause)
    # The report of an invocation comes with the next one.
    world.invoke(probe, {"do": "nothing"})
    time.sleep(pause)
    brought = evidence(world, probe)
    for _ in range(5):
        if _told(brought):
            break
        # Telemetry is near real time, and no nearer: what has not come by now comes while it is asked for again.
        time.sleep(pause)
        brought = evidence(world, probe)
    for _ in range(5):
        if any(line.get("do") == events[0]["do"] for line in brought["function"]):
            break
        # Another environment answers than the one that was reset: keep that busy, and ask again.
        busy = threading.Thread(target=world.invoke, args=(probe, {"do": "wait", "seconds": 2}))
        busy.start()
        time.sleep(1)
        brought = evidence(world, probe)
        busy.join()
    return {"answers": answers, **brought}


def _told(brought: dict[str, Any]) -> bool:
    """Whether Lambda has told of the end of an invocation yet."""
    batches = (line["events"] for line in brought["extension"] if line["kind"] == "telemetry")
    events = (event for batch in batches if isinstance(batch, list) for event in batch)
    return any(event.get("type") == "platform.runtimeDone" for event in events)


def _python_path(world: World) -> Any:
    answer = world.invoke("WithPath", {"do": "facts"}).payload
    return answer.get("facts", answer) if isinstance(answer, dict) else answer


def _contexts(world: World) -> dict[str, Any]:
    w3c = {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "k=v", "other": "x"}
    asked = {
        "with_w3c": world.invoke("Plain", {"do": "nothing"}, context={"custom": {"k": "v"}, "w3c": w3c}),
        "with_header": world.invoke("Plain", {"do": "nothing"}, traceparent=TRACEPARENT),
        "with_trace_id": world.invoke("Plain", {"do": "nothing"}, header=ODD_HEADER),
        "with_nothing": world.invoke("Plain", {"do": "nothing"}),
    }
    return {name: answer.payload.get("context", answer.payload) for name, answer in asked.items()}


def _hops(world: World, run: str, patience: float, tell: Callable[[str], None]) -> dict[str, Any]:
    body = json.dumps({"run": run})
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": ODD_HEADER}}
    attribute = {"traceparent": {"DataType": "String", "StringValue": TRACEPARENT}}
    alert = {
        "schemaVersion": "1.0",
        "alertId": run,
        "alertName": "timeout:check",
        "state": {"value": "ALARM", "reason": "a check"},
        "trace": {"traceId": ODD_TRACE, "spanId": ODD_SPAN},
        "traceparent": TRACEPARENT,
        "run": run,
    }
    world.send(
        "sqs",
        "send_message",
        QueueUrl=world.place("Queue"),
        MessageBody=body,
        MessageAttributes=attribute,
        MessageSystemAttributes=header,
    )
    world.send("sns", "publish", TopicArn=world.place("Topic"), Message=body, MessageAttributes=attribute)
    entry = {
        "Source": "hoptrace.check",
        "DetailType": "Hoptrace Alert State Change",
        "Detail": json.dumps(alert),
        "TraceHeader": ODD_HEADER,
        "EventBusName": world.place("Bus"),
    }
    put = world.send("events", "put_events", Entries=[entry])
    found: dict[str, Any] = {"put": {"failed": put["FailedEntryCount"]}, "sent_detail": alert}
    for consumer in ("queue", "topic", "bus", "bus_queue"):
        tell(f"  waiting for what comes by: {consumer}")
        found[consumer] = _first(world, consumer, patience, lambda item: run in item["event"])
    return found


def _asynchronous(world: World, run: str, patience: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """A failing asynchronous invocation: what a retry looks like, and what the destination's event does."""
    if not world.place("Failing"):
        return {}
    world.send(
        "lambda",
        "invoke",
        FunctionName=world.place("Failing"),
        InvocationType="Event",
        Payload=json.dumps({"run": run, "fail": True}).encode(),
    )
    tell("  waiting for its retry, about a minute")
    destination = _first(world, "destination", max(patience, 150.0), lambda item: run in item["event"])
    attempts = [item for item in world.kept("failing") if run in item["event"]]
    return {"attempts": attempts, "destination": destination}


def _first(
    world: World, consumer: str, patience: float, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any] | None:
    if not world.place("Table"):
        return None
    until = time.monotonic() + patience
    while True:
        for item in world.kept(consumer):
            if wanted(item):
                return {**item, "event": json.loads(item["event"]), "w3c": json.loads(item["w3c"])}
        if time.monotonic() > until:
            return None
        time.sleep(0.5)


def replay(world: World, minutes: float, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """Replay the bus's archive, which lags ten minutes, and wait for the alert to come again."""
    tell(f"waiting {minutes:.0f} minutes for the archive")
    time.sleep(minutes * 60)
    now = dt.datetime.now(dt.UTC)
    before = {item["id"] for item in world.kept("bus")}
    world.send(
        "events",
        "start_replay",
        ReplayName=f"hoptrace-check-{uuid.uuid4().hex[:8]}",
        EventSourceArn=world.place("Archive"),
        EventStartTime=now - dt.timedelta(hours=1),
        EventEndTime=now,
        Destination={"Arn": world.place("BusArn")},
    )
    again = _first(world, "bus", 900, lambda item: item["id"] not in before)
    originals = [json.loads(item["event"]) for item in world.kept("bus") if item["id"] in before]
    return None if again is None else {"event": again["event"], "original_ids": [event["id"] for event in originals]}


def encoded(context: Any) -> str:
    """A client context as Invoke wants it."""
    return base64.b64encode(json.dumps(context).encode()).decode()
