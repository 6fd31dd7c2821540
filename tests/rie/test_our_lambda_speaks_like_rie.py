"""Our local Lambda and AWS's own emulator, asked the same things: what differs is in the table, with its reason."""

from __future__ import annotations

import fnmatch
import functools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rie import managed, wire
from tests.rie.wire import Scenario
from tests.support import rie

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(rie.can_run()), reason=rie.can_run() or "-")]

ECHO = "def handler(event, context):\n    return event\n"
RAISES = "def handler(event, context):\n    raise ValueError('no')\n"
CRASHES = "import os\ndef handler(event, context):\n    if event.get('crash'): os._exit(3)\n    return event\n"
HANGS = "import time\ndef handler(event, context):\n    time.sleep(event['sleep'])\n    return event\n"
# Says odd things to the Runtime API while an invocation runs.
ODD = """
import os, wire
API = "/2018-06-01/runtime/"
def handler(event, context):
    own = context.aws_request_id
    other = "00000000-0000-4000-8000-000000000000"
    def say(method, path, body=None, headers=()):
        wire.call("stranger", os.environ["WIRE_API"], method, API + path, body, headers)
    say("POST", f"invocation/{other}/response", "{}")
    say("POST", f"invocation/{other}/error", "{}")
    say("POST", "init/error", "{}")
    say("GET", f"invocation/{own}/response")
    say("POST", "invocation/next", "{}")
    say("GET", "nowhere")
    say("POST", f"invocation/{own}/response", '{"first":1}')
    say("POST", f"invocation/{own}/response", '{"second":2}')
    say("POST", f"invocation/{own}/error", "{}")
    return event
"""
REGISTER, EVENT = "/2020-01-01/extension/register", "/2020-01-01/extension/event/next"
NAME, ID = "Lambda-Extension-Name", "Lambda-Extension-Identifier"
NOBODY = "00000000-0000-4000-8000-000000000000"
TELEMETRY = {
    "schemaVersion": "2022-12-13",
    "types": ["platform"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:9999"},
}
REGISTRATIONS = {
    "before": [
        ["POST", REGISTER, '{"events":[]}', {}],
        ["POST", REGISTER, '{"events":["SHUTDOWN"]}', {NAME: "inside"}],
        ["POST", REGISTER, '{"events":["PARTY"]}', {NAME: "inside"}],
        ["POST", REGISTER, '{"events":["PARTY"]}', {NAME: "recorder"}],
        ["POST", REGISTER, '["events"]', {NAME: "inside"}],
        ["POST", REGISTER, "no json", {NAME: "inside"}],
        ["POST", REGISTER, "", {NAME: "recorder"}],
        ["POST", REGISTER, '{"events":[],"configurationKeys":["a"]}', {NAME: "inside"}],
        ["GET", REGISTER, None, {NAME: "inside"}],
        ["GET", EVENT, None, {}],
        ["GET", EVENT, None, {ID: "x"}],
        ["GET", EVENT, None, {ID: NOBODY}],
        ["POST", EVENT, "", {ID: NOBODY}],
        ["GET", "/2020-01-01/extension/nowhere", None, {}],
        ["GET", "/nowhere", None, {}],
        ["PUT", "/2022-07-01/telemetry", json.dumps(TELEMETRY), {}],
    ],
    "after": [
        ["POST", REGISTER, '{"events":[]}', {NAME: "recorder"}],
        ["POST", "/2020-01-01/extension/init/error", "{}", {ID: "MINE"}],
        ["POST", "/2020-01-01/extension/init/error", "{}", {}],
        ["POST", "/2020-01-01/extension/exit/error", "{}", {ID: "MINE"}],
        ["PUT", "/2022-07-01/telemetry", json.dumps(TELEMETRY), {ID: "MINE"}],
    ],
}
# An extension inside the runtime's process.
INTERNAL = """
import os, threading, wire
NAME, ID = "Lambda-Extension-Name", "Lambda-Extension-Identifier"
BASE = "/2020-01-01/extension/"
def call(method, path, body, headers):
    return wire.call("inside", os.environ["WIRE_API"], method, BASE + path, body, headers)
_, headers, _ = call("POST", "register", '{"events":["INVOKE"]}', [(NAME, "inside")])
call("POST", "register", '{"events":["INVOKE"]}', [(NAME, "inside")])
mine = [(ID, headers["lambda-extension-identifier"])]
def listen():
    while True:
        if call("GET", "event/next", None, mine)[0] != 200: return
threading.Thread(target=listen, daemon=True).start()
def handler(event, context):
    wire.call("stranger", os.environ["WIRE_API"], "POST", BASE + "register", '{"events":[]}', [(NAME, "late")])
    return event
"""
SCENARIOS = [
    Scenario("two invocations and a shutdown", ECHO, ({"a": 1}, {"a": 2})),
    Scenario("a handled error", RAISES),
    Scenario("a crash, and the next invocation", CRASHES, ({"crash": True}, {})),
    Scenario("a timeout, and the next invocation", HANGS, ({"sleep": 9}, {"sleep": 0}), timeout=1),
    Scenario("an error while the module loads", "1 / 0\n"),
    Scenario("a handler that is not there", ECHO, handler="app.nothing"),
    Scenario("an extension that cannot begin", ECHO, plan={"init_error": True}),
    Scenario("an extension that ends", HANGS, ({"sleep": 0.3},), plan={"exit": True}),
    Scenario("an extension that hears only of shutdowns", ECHO, plan={"events": ["SHUTDOWN"]}),
    Scenario("an internal extension", INTERNAL, ({}, {})),
    Scenario("odd registrations", ECHO, plan=REGISTRATIONS),
    Scenario("odd answers of a runtime", ODD),
]


@dataclass(frozen=True)
class Known:
    """A difference that is there on purpose: `where` is a pattern of "scenario: fact"; None is "not there"."""

    where: str
    theirs: Any
    ours: Any
    why: str


EMULATOR = "the emulator answers HTTP for errors where the service answers 200 with X-Amz-Function-Error"
ONCE = "the emulator begins its only INIT with the first invocation; the service repeats it in the invoke phase"
TELEMETRY_API = "the on-demand emulator has no Telemetry API"
WORDS = "each names the mistake in the words of its JSON parser"
NEWER = "newer than this emulator; the service sends it since 2026, and clients echo it"
NAMES = "the emulator's own names; the service says spindown, timeout and failure"
NEXT = "runtime GET /2018-06-01/runtime/invocation/next"
REGISTERS = "POST /2020-01-01/extension/register"
KNOWN = [
    Known("*: * header server", None, True, "our web framework names itself; no client reads it"),
    Known(
        f"*: recorder {REGISTERS} body.accountId", None, "str", "the emulator knows no account; the service tells it"
    ),
    Known(f"*: {NEXT} header lambda-runtime-trace-id", None, True, "the emulator keeps the trace from the runtime"),
    Known(f"*: {NEXT} header lambda-runtime-invocation-id", None, True, NEWER),
    Known("*: runtime POST *ID/* sends lambda-runtime-invocation-id", None, True, NEWER),
    Known("*: shutdowns of recorder", ["SandboxTerminated"], ["spindown"], NAMES),
    Known("a crash*: shutdowns of recorder", ["ReleaseFail", "SandboxTerminated"], ["failure", "spindown"], NAMES),
    Known("a timeout*: shutdowns of recorder", ["Timeout", "SandboxTerminated"], ["timeout", "spindown"], NAMES),
    Known("odd answers*: shutdowns of recorder", ["ReleaseFail"], ["failure"], NAMES),
    Known("a*: caller 1 status", 502, 200, EMULATOR),
    Known("odd answers*: caller 1 status", 502, 200, EMULATOR),
    Known("a timeout*: caller 1 body", "Task timed out after N seconds", None, EMULATOR),
    Known("a timeout*: caller 1 body.errorType", None, "Sandbox.Timedout", EMULATOR),
    Known(
        "a timeout*: caller 1 body.errorMessage",
        None,
        "RequestId: ID Error: Task timed out after N seconds",
        EMULATOR,
    ),
    Known("an extension that cannot begin: caller 1 body", "", None, EMULATOR),
    Known("an extension that cannot begin: caller 1 body.errorType", None, "Extension.ConfigInvalid", EMULATOR),
    Known(
        "an extension that cannot begin: caller 1 body.errorMessage",
        None,
        "RequestId: ID Error: no endpoint",
        EMULATOR,
    ),
    Known("a*: shutdowns of recorder", ["spindown"], ["failure", "failure"], ONCE),
    Known(
        "a*: order of recorder",
        ["POST /2020-01-01/extension/register 200", "GET /2020-01-01/extension/event/next SHUTDOWN"],
        ["POST /2020-01-01/extension/register 200", "GET /2020-01-01/extension/event/next SHUTDOWN"] * 2,
        ONCE,
    ),
    Known(
        "an extension that cannot begin: order of recorder",
        ["POST /2020-01-01/extension/register 200", "POST /2020-01-01/extension/init/error 202"],
        ["POST /2020-01-01/extension/register 200", "POST /2020-01-01/extension/init/error 202"] * 2,
        ONCE,
    ),
    Known(
        "a*: order of runtime",
        ["POST /2018-06-01/runtime/init/error 202"],
        ["POST /2018-06-01/runtime/init/error 202"] * 2,
        ONCE,
    ),
    Known(
        f"odd registrations: stranger 5: {REGISTERS} body.errorMessage",
        "json: cannot unmarshal array into Go value of type struct { handler.RegisterRequest; "
        'ConfigurationKeys []string "json:\\"configurationKeys\\"" }',
        "'list' object has no attribute 'get'",
        WORDS,
    ),
    Known(
        f"odd registrations: stranger 6: {REGISTERS} body.errorMessage",
        "invalid character 'o' in literal null (expecting 'u')",
        "Expecting value: line 1 column 1 (char 0)",
        WORDS,
    ),
    Known(
        f"odd registrations: stranger 7: {REGISTERS} body.errorMessage",
        "unexpected end of JSON input",
        "Expecting value: line 1 column 1 (char 0)",
        WORDS,
    ),
    Known("odd registrations: stranger 16: PUT /2022-07-01/telemetry status", 202, 403, TELEMETRY_API),
    Known("odd registrations: stranger 21: PUT /2022-07-01/telemetry status", 202, 200, TELEMETRY_API),
    Known("odd registrations: stranger 21: PUT /2022-07-01/telemetry body", None, "OK", TELEMETRY_API),
    Known(
        "odd registrations: stranger 16: PUT /2022-07-01/telemetry body.errorType",
        "Telemetry.NotSupported",
        "Extension.MissingExtensionIdentifier",
        TELEMETRY_API,
    ),
    Known(
        "odd registrations: stranger 16: PUT /2022-07-01/telemetry body.errorMessage",
        "Telemetry API is not supported",
        "Missing Lambda-Extension-Identifier header",
        TELEMETRY_API,
    ),
    Known(
        "odd registrations: stranger 21: PUT /2022-07-01/telemetry body.errorType",
        "Telemetry.NotSupported",
        None,
        TELEMETRY_API,
    ),
    Known(
        "odd registrations: stranger 21: PUT /2022-07-01/telemetry body.errorMessage",
        "Telemetry API is not supported",
        None,
        TELEMETRY_API,
    ),
]
# Managed Instances against on-demand: keys and types of the telemetry.
ON_DEMAND = "on-demand functions have it, Managed Instances do not (Telemetry API event schema reference)"
MANAGED = "Managed Instances have it, on-demand functions do not"
KNOWN_TELEMETRY = [
    Known("platform.runtimeDone *", None, "*", ON_DEMAND),
    Known("platform.report record.metrics.*", None, "float", ON_DEMAND),
    Known("platform.report record.spans extensionOverhead.*", None, "*", ON_DEMAND),
    Known("platform.report record.spans response*", "*", None, MANAGED + ": there it stands in runtimeDone"),
    Known("platform.report record.errorType", "str", None, MANAGED + ": a raised error is a success on demand"),
    Known("platform.start record.functionArn", "str", None, MANAGED),
    Known("platform.* record.tracing.spanId", None, "str", "the emulator opens no X-Ray segment that could have an id"),
    Known("function record.*", None, "*", "the emulator hands JSON logs on as text; the service as objects"),
]


@functools.cache
def _differences(scenario: str) -> dict[str, tuple[Any, Any]]:
    """What differs each time: in which order processes that are being ended still speak is chance."""
    found = _measured(scenario)
    for _ in range(3):
        if not list(_unlisted(found, KNOWN)):
            break
        again = _measured(scenario)
        found = {fact: values for fact, values in found.items() if fact in again}
    return found


def _measured(scenario: str) -> dict[str, tuple[Any, Any]]:
    (asked,) = [known for known in SCENARIOS if known.name == scenario]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        found = wire.differences(
            wire.under_rie(Path(folder) / "rie", asked), wire.under_ours(Path(folder) / "ours", asked)
        )
    return {f"{scenario}: {fact}": values for fact, values in found.items()}


def _is(known: Known, fact: str, values: tuple[Any, Any]) -> bool:
    wanted = (known.theirs, known.ours)
    same = (want == value or (want == "*" and value is not None) for want, value in zip(wanted, values, strict=True))
    return fnmatch.fnmatchcase(fact, known.where) and all(same)


def _unlisted(found: dict[str, tuple[Any, Any]], table: list[Known]) -> Iterator[str]:
    for fact, (theirs, ours) in found.items():
        if not any(_is(known, fact, (theirs, ours)) for known in table):
            yield f"{fact}: theirs {theirs!r}, ours {ours!r}"


def _stale(found: dict[str, tuple[Any, Any]], table: list[Known]) -> list[str]:
    return [known.where for known in table if not any(_is(known, fact, values) for fact, values in found.items())]


@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
def test_nothing_differs_but_what_is_listed(scenario: str) -> None:
    assert list(_unlisted(_differences(scenario), KNOWN)) == []


def test_every_listed_difference_is_still_one() -> None:
    found = {fact: values for scenario in SCENARIOS for fact, values in _differences(scenario.name).items()}
    assert _stale(found, KNOWN) == []


def test_the_recordings_hold_what_they_are_compared_for(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    scenario = SCENARIOS[0]
    for facts in (wire.under_rie(tmp_path / "rie", scenario), wire.under_ours(tmp_path / "ours", scenario)):
        assert (
            facts["order of runtime"]
            == [
                "GET /2018-06-01/runtime/invocation/next 200",
                "POST /2018-06-01/runtime/invocation/ID/response 202",
            ]
            * 2
        )
        assert facts["order of recorder"][1:] == ["GET /2020-01-01/extension/event/next INVOKE"] * 2 + [
            "GET /2020-01-01/extension/event/next SHUTDOWN"
        ]
        assert facts[f"{NEXT} header lambda-runtime-deadline-ms"]
        assert facts["recorder GET /2020-01-01/extension/event/next INVOKE body.tracing.value"] == "str"


TELLS = (
    "def handler(event, context):\n    print('hi')\n    if event.get('fail'): raise ValueError('x')\n    return event\n"
)


def test_telemetry_has_the_shape_of_the_real_telemetry_api(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    events = ({"a": 1}, {"fail": 1})
    theirs, log = managed.under_rie(tmp_path / "rie", TELLS, events)
    ours = managed.under_ours(tmp_path / "ours", TELLS, events)
    assert [event["type"] for event in theirs].count("platform.report") == 2, log[-3000:]
    assert theirs[0]["record"] == ours[0]["record"] == [200, '"OK"'], "the answer to the subscription"
    found = wire.differences(managed.shapes(theirs), managed.shapes(ours))
    assert list(_unlisted(found, KNOWN_TELEMETRY)) == []
    assert _stale(found, KNOWN_TELEMETRY) == []


def test_telemetry_of_the_initialization_comes_in_the_order_of_the_real_telemetry_api(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    theirs, _ = managed.under_rie(tmp_path / "rie", TELLS, ({},))
    ours = managed.under_ours(tmp_path / "ours", TELLS, ({},))

    def order(events: list[managed.Event]) -> list[str]:
        kinds = [event["type"] for event in events if event["type"].startswith("platform.")]
        return kinds[: kinds.index("platform.start") + 1]

    assert order(theirs) == order(ours)
    assert "platform.telemetrySubscription" in order(ours)
