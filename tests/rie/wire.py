"""What was said on the wire under one emulator or another, boiled down to what can be compared."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
from tests.support import rie

LAYER = Path(__file__).with_name("wire_layer")
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Values that mean something; of everything else only the type is compared.
_TELLING = (".eventType", ".errorType", ".errorMessage", ".status", ".type")

Facts = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A function, what the extension does, and the invocations that are made."""

    name: str
    source: str
    events: tuple[object, ...] = ({"a": 1},)
    plan: Mapping[str, Any] = field(default_factory=dict)
    timeout: int = 3
    handler: str = "app.handler"


def under_rie(folder: Path, scenario: Scenario) -> Facts:
    """The facts under aws-lambda-rie."""

    def fill() -> None:
        shutil.copytree(LAYER, folder / "opt", dirs_exist_ok=True)

    with rie.running(
        folder,
        {"app.py": scenario.source},
        layer=False,
        timeout=scenario.timeout,
        handler=scenario.handler,
        environment={"WIRE_PLAN": json.dumps(scenario.plan)},
        before=fill,
    ) as emulator:
        answers = [_post(emulator.port, json.dumps(event).encode()) for event in scenario.events]
        emulator.stop()
        return facts(read(emulator.tmp), answers)


def under_ours(folder: Path, scenario: Scenario) -> Facts:
    """The facts under our own."""
    (folder / "task").mkdir(parents=True)
    (folder / "task" / "app.py").write_text(scenario.source)
    config = FunctionConfig(
        "function",
        folder / "task",
        scenario.handler,
        layers=(LAYER,),
        environment={"WIRE_PLAN": json.dumps(scenario.plan)},
        timeout=scenario.timeout,
        memory=1769,
        account_id="012345678912",
    )
    with LambdaHost([config], state_dir=folder / "state") as host:
        results = [host.invoke("function", json.dumps(event).encode(), trace_header=TRACE) for event in scenario.events]
        (environment,) = host.environments("function")
        host.shutdown("function")
    return facts(read(environment.tmp_dir), [(result.status_code, result.payload) for result in results])


def _post(port: int, payload: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "X-Amzn-Trace-Id": TRACE}
    connection.request("POST", "/2015-03-31/functions/function/invocations", payload, headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, answer


def read(folder: Path) -> list[dict[str, Any]]:
    """The notes, in the order in which they were taken."""
    with contextlib.suppress(FileNotFoundError):
        return [json.loads(line) for line in (folder / "wire.jsonl").read_text().splitlines()]
    return []


def facts(notes: list[dict[str, Any]], answers: list[tuple[int, bytes]]) -> Facts:
    """What each side said and heard in each exchange, by name, and in which order."""
    found: Facts = {}
    order: dict[str, list[str]] = {}
    asks: dict[str, dict[str, Any]] = {}
    for note in notes:
        actor = note["actor"]
        if note["kind"] == "ask":
            asks[actor] = note
            if actor != "stranger":
                found |= {f"{actor} {_place(note)} sends {name}": True for name in _names(note)}
        elif actor in asks:
            asked = asks.pop(actor)
            body = _decoded(note.get("body", ""))
            event = body.get("eventType", "") if isinstance(body, dict) else ""
            if event == "SHUTDOWN":
                order.setdefault(f"shutdowns of {actor}", []).append(body["shutdownReason"])
            said = order.setdefault(f"order of {actor}", [])
            said.append(f"{_place(asked)} {event or note.get('status', 'closed')}")
            place = f"{actor} {len(said)}:" if actor == "stranger" else actor
            exchange = f"{place} {_place(asked)} {event}".rstrip()
            found[f"{exchange} status"] = note.get("status", "closed")
            found |= {f"{exchange} header {name}": True for name in _names(note)}
            found |= _flat(f"{exchange} body", body)
    order.pop("order of stranger", None)  # each of its exchanges has its number
    found |= order
    for number, (status, answer) in enumerate(answers, 1):
        found[f"caller {number} status"] = status
        found |= _flat(f"caller {number} body", _decoded(answer.decode("utf-8", "replace")))
    return found


def _place(asked: dict[str, Any]) -> str:
    return f"{asked['method']} {_ID.sub('ID', asked['path'])}"


def _names(note: dict[str, Any]) -> list[str]:
    return [name.lower() for name, _ in note.get("headers", ())]


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(name: str, value: Any) -> Facts:
    """One fact for each leaf: the value where it means something, else its type."""
    if isinstance(value, dict):
        found: Facts = {}
        for key, inner in value.items():
            found |= _flat(f"{name}.{key}", inner)
        return found
    if isinstance(value, str) and (name.endswith((*_TELLING, " body"))):
        return {name: re.sub(r"\d+\.\d\d seconds", "N seconds", _ID.sub("ID", value))}
    return {name: type(value).__name__}


def differences(rie_facts: Facts, our_facts: Facts) -> dict[str, tuple[Any, Any]]:
    """What is not the same, by name: theirs and ours, None for what is not there."""
    names = [*rie_facts, *(name for name in our_facts if name not in rie_facts)]
    found = {name: (rie_facts.get(name), our_facts.get(name)) for name in names}
    return {name: values for name, values in found.items() if values[0] != values[1]}
