"""Every way in which an invocation ends without coming back, as functions that really end so."""

import json
import sysconfig
from dataclasses import dataclass, field

HANDLER = """
import ctypes, os, signal, sys, threading, time, urllib.request
sys.path.append(os.environ["SITE"])
from opentelemetry import trace
tracer = trace.get_tracer("orders", "1.2")

def died():
    print("DIED", time.time_ns(), flush=True)

def end():
    time.sleep(0.1)
    died()
    {end}

def handler(event, context):
    with tracer.start_as_current_span("done"):
        pass
    with tracer.start_as_current_span("work", attributes={{"order": 7}}):
        threading.Thread(target=end, daemon=True).start()
        {meanwhile}
"""
STALLED = 'urllib.request.urlopen(os.environ["STALLED"] + "/orders?token=secret", timeout=60)'
AWS = (
    'import boto3; boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=os.environ["STALLED"],'
    ' aws_access_key_id="a", aws_secret_access_key="b").get_item(TableName="orders", Key={"id": {"S": "1"}})'
)
NOTHING_ASKS = """
import time
from awslambdaric import lambda_runtime_client as client
post = client.LambdaRuntimeClient.post_invocation_result
def hang(*arguments, **named):
    post(*arguments, **named)
    time.sleep(60)
client.LambdaRuntimeClient.post_invocation_result = hang
def handler(event, context):
    return "answered"
"""


@dataclass(frozen=True)
class Ending:
    """One way: a function, and what must be told of its one invocation.

    `end` runs in a thread while the handler waits in `meanwhile`, below two spans; `cut` are the spans that are then
    open, outermost first. `answer` is the error type that the caller gets, `told` the one that the trace tells,
    `timeout` seconds.
    """

    name: str
    answer: str
    told: str
    end: str = "pass"
    meanwhile: str = STALLED
    source: str = ""
    handler: str = "app.handler"
    cut: tuple[str, ...] = ("work", "GET")
    timeout: float = 5.0
    init_timeout: float = 10.0
    memory: int = 1769
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.source or HANDLER.format(end=self.end, meanwhile=self.meanwhile)

    @property
    def timed_out(self) -> bool:
        return self.told == "timeout"


EXIT, TIMEOUT = "Runtime.ExitError", "Sandbox.Timedout"
ENDINGS = [
    Ending("timeout_in_http", TIMEOUT, "timeout", timeout=1.0),
    Ending("timeout_in_boto3", TIMEOUT, "timeout", meanwhile=AWS, cut=("work", "DynamoDB.GetItem"), timeout=3.0),
    Ending("timeout_in_own_span", TIMEOUT, "timeout", meanwhile="time.sleep(60)", cut=("work",), timeout=1.0),
    Ending("exit", EXIT, EXIT, end="os._exit(3)"),
    Ending("terminated", EXIT, EXIT, end="os.kill(os.getpid(), signal.SIGTERM)"),
    Ending("killed", EXIT, EXIT, end="os.kill(os.getpid(), signal.SIGKILL)"),
    Ending("aborted", EXIT, EXIT, end="os.kill(os.getpid(), signal.SIGABRT)"),
    Ending("segmentation_fault", EXIT, EXIT, end="ctypes.string_at(0)"),
    Ending("out_of_memory", EXIT, "Runtime.OutOfMemory", end="held = bytearray(400 << 20)", memory=256),
    Ending("exit_in_handler", EXIT, "SystemExit", meanwhile="died(); sys.exit(3)", cut=()),
    Ending("asks_no_more", "", "timeout", source=NOTHING_ASKS, cut=(), timeout=1.0),
    Ending(
        "not_marshalled",
        "Runtime.MarshalError",
        "Runtime.MarshalError",
        source="def handler(event, context):\n    return object()\n",
        cut=(),
    ),
    Ending(
        "too_large",
        "Function.ResponseSizeTooLarge",
        "Function.ResponseSizeTooLarge",
        source="def handler(event, context):\n    return 'ö' * 3_200_000\n",
        cut=(),
    ),
]
FAILED_INITS = [
    Ending("import_error", "Runtime.ImportModuleError", "Runtime.ImportModuleError", source="import nothing_like_it\n"),
    Ending("syntax_error", "Runtime.UserCodeSyntaxError", "Runtime.UserCodeSyntaxError", source="def handler(:\n"),
    Ending("no_handler", "Runtime.HandlerNotFound", "Runtime.HandlerNotFound", source="other = 1\n"),
    Ending("raises", "ZeroDivisionError", "ZeroDivisionError", source="1 / 0\n"),
    Ending("exit_at_import", EXIT, "SystemExit", source="import sys\nsys.exit(4)\n"),
    Ending("hard_exit_at_import", EXIT, EXIT, source="import os\nos._exit(4)\n"),
    Ending(
        "never_initialised", TIMEOUT, "timeout", source="import time\ntime.sleep(60)\n", init_timeout=0.4, timeout=1.0
    ),
]
SLOW_ONCE = """
import os, time
if not os.path.exists(os.environ["TMPDIR"] + "/slow"):
    open(os.environ["TMPDIR"] + "/slow", "w").close()
    time.sleep(60)
def handler(event, context):
    return "late but well"
"""


def environment(stalled: str, endpoint: str, ending: Ending) -> dict[str, str]:
    """What the functions need to know; `stalled` is a URL of which no answer ever comes."""
    site = sysconfig.get_path("purelib")
    return {"STALLED": stalled, "SITE": site, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **ending.environment}


def moment_of_death(lines: list[str]) -> int:
    """When a function said that it was about to end, nanoseconds; 0 when it did not."""
    return max((int(line.split()[1]) for line in lines if line.startswith("DIED")), default=0)


def error_type(payload: bytes) -> str:
    answer = json.loads(payload)
    return str(answer["errorType"]) if isinstance(answer, dict) and "errorType" in answer else ""
