"""The probe's extension: registers, subscribes to the Telemetry API, and writes down all that it sees.

Everything goes as JSON lines into `/tmp/hoptrace-check/extension.jsonl`, which the function reads back on request, and
what happens at the end of an environment goes to the log as well, after the word HOPTRACE-CHECK.

    CHECK_LATE    seconds before the telemetry listener comes up (0)
    CHECK_REFUSE  how many batches of telemetry are answered with 500 first (0)
"""

import http.client
import json
import os
import select
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STARTED = time.time()
FOLDER = os.path.join(os.environ.get("TMPDIR", "/tmp"), "hoptrace-check")
PORT = int(os.environ.get("HOPTRACE_TELEMETRY_PORT", "4323"))
NAME = "hoptrace-check"
SAFE = ("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "PATH", "TZ", "LANG", "LD_LIBRARY_PATH")
_lock = threading.Lock()
done = set()


def note(kind, aloud=False, **what):
    """One line of evidence."""
    line = json.dumps({"kind": kind, "t": time.time(), "pid": os.getpid(), **what})
    with _lock, open(os.path.join(FOLDER, "extension.jsonl"), "a", encoding="utf-8") as file:
        file.write(line + "\n")
    if aloud:
        sys.stdout.write(f"HOPTRACE-CHECK {line}\n")
        sys.stdout.flush()


def call(method, path, body=None, identifier=""):
    """One request to Lambda's API: status, identifier, parsed body."""
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    headers = {"Lambda-Extension-Name": NAME}
    if identifier:
        headers["Lambda-Extension-Identifier"] = identifier
    content = None
    if body is not None:
        content = json.dumps(body)
        headers["Content-Type"] = "application/json"
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = text
    return response.status, response.headers.get("Lambda-Extension-Identifier") or identifier, parsed


class Telemetry(BaseHTTPRequestHandler):
    """Takes batches; refuses the first ones when asked to."""

    refuse = int(os.environ.get("CHECK_REFUSE", "0"))

    def do_POST(self):
        """One batch."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200
        if Telemetry.refuse > 0:
            Telemetry.refuse -= 1
            status = 500
        try:
            events = json.loads(content)
        except ValueError:
            events = content.decode(errors="replace")[:1000]
        if status == 200 and isinstance(events, list):
            done.update(each["record"]["requestId"] for each in events if each["type"] == "platform.runtimeDone")
        note("telemetry", status=status, events=events, bytes=len(content))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Standard error is the function's log."""


def listen():
    """Come up late, when asked to."""
    time.sleep(float(os.environ.get("CHECK_LATE", "0")))
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("0.0.0.0", PORT), Telemetry)
    note("listening")
    server.serve_forever()


def hear(descriptor):
    """What the function writes into the FIFO."""
    while True:
        select.select([descriptor], [], [])
        note("bell", bytes=os.read(descriptor, 100).decode(errors="replace"))


def resolves(name):
    """Addresses of a host, or the error."""
    try:
        return sorted({found[4][0] for found in socket.getaddrinfo(name, None)})
    except OSError as error:
        return str(error)


def main():
    """Live as an extension does."""
    try:
        os.mkfifo(os.path.join(FOLDER, "bell"), 0o600)
    except FileExistsError:
        pass
    bell = os.open(os.path.join(FOLDER, "bell"), os.O_RDWR | os.O_NONBLOCK)
    status, identifier, registration = call(
        "POST", "/2020-01-01/extension/register", {"events": ["INVOKE", "SHUTDOWN"]}
    )
    registered = time.time()
    destination = {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{PORT}/"}
    subscription = {
        "schemaVersion": "2022-12-13",
        "types": ["platform", "function"],
        "destination": destination,
        "buffering": {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25},
    }
    subscribed = call("PUT", "/2022-07-01/telemetry", subscription, identifier)
    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=hear, args=(bell,), daemon=True).start()
    note(
        "start",
        started=STARTED,
        registered=registered,
        status=status,
        registration=sorted(registration) if isinstance(registration, dict) else str(registration),
        subscribed=[subscribed[0], subscribed[2]],
        variables=sorted(os.environ),
        safe={name: os.environ.get(name) for name in SAFE},
        sandbox=resolves("sandbox.localdomain"),
        python=sys.executable,
        version=sys.version.split()[0],
        uid=os.getuid(),
    )
    last = ""
    while True:
        _, _, event = call("GET", "/2020-01-01/extension/event/next", identifier=identifier)
        now = time.time()
        if not isinstance(event, dict) or "eventType" not in event:
            note("refused", answer=str(event)[:500], aloud=True)
            return
        left = event.get("deadlineMs", 0) - now * 1000
        if event["eventType"] == "SHUTDOWN":
            note("shutdown", aloud=True, reason=event.get("shutdownReason"), left_ms=round(left), keys=sorted(event))
            # What comes at the very end is part of the question: wait for it, as long as the deadline lets us.
            until = now + left / 1000 - 0.3
            while last and last not in done and time.time() < until:
                time.sleep(0.05)
            time.sleep(max(0.0, min(0.3, until - time.time())))
            return
        last = event["requestId"]
        tracing = event.get("tracing")
        note("invoke", request_id=event["requestId"], left_ms=round(left), keys=sorted(event), tracing=tracing)


main()
