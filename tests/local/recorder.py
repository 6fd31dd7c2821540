#!/usr/bin/env -S python3 -I -S
"""A real external extension for the tests: does what $RECORDER says and notes what it sees in $TMPDIR/NAME.jsonl."""

import http.client
import http.server
import json
import os
import sys
import threading
import time

NAME = os.path.basename(__file__)
PLAN = json.loads(os.environ.get("RECORDER", "{}"))
OUT = os.open(os.path.join(os.environ["TMPDIR"], NAME + ".jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def note(kind, **what):
    os.write(OUT, (json.dumps({"at": time.time(), "kind": kind, **what}) + "\n").encode())


def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    response = connection.getresponse()
    data = response.read()
    try:
        data = json.loads(data)
    except ValueError:
        data = data.decode()
    return response.status, dict(response.getheaders()), data


class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note("telemetry", batch=batch)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def listen():
    server = http.server.HTTPServer(("127.0.0.1", int(os.environ["HOPTRACE_TELEMETRY_PORT"])), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    note("listening")


def subscribe(**headers):
    uri = f"http://sandbox.localdomain:{os.environ['HOPTRACE_TELEMETRY_PORT']}/telemetry"
    body = {"schemaVersion": "2022-12-13", "types": PLAN["telemetry"], "destination": {"protocol": "HTTP", "URI": uri}}
    body["buffering"] = {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25}
    return call("PUT", "/2022-07-01/telemetry", body | PLAN.get("subscription", {}), **headers)


def main():
    note("started", pid=os.getpid(), environment=dict(os.environ), argv=sys.argv)
    if "exit_before_register" in PLAN:
        sys.exit(PLAN["exit_before_register"])
    events = PLAN.get("events", ["INVOKE", "SHUTDOWN"])
    status, headers, body = call(
        "POST",
        "/2020-01-01/extension/register",
        {"events": events},
        Lambda_Extension_Name=NAME,
        Lambda_Extension_Accept_Feature="accountId",
    )
    note("registered", status=status, body=body)
    mine = {"Lambda_Extension_Identifier": headers["Lambda-Extension-Identifier"]}
    if PLAN.get("requests"):
        for method, path, sent, extra in PLAN["requests"]:
            extra = {
                key: headers["Lambda-Extension-Identifier"] if value == "MINE" else value
                for key, value in extra.items()
            }
            status, _, body = call(method, path, sent, **extra)
            note("answer", status=status, body=body)
    if "telemetry" in PLAN:
        if PLAN.get("listen_at", 0) == 0:
            listen()
        status, _, body = subscribe(**mine)
        note("subscribed", status=status, body=body)
    if "init_error" in PLAN:
        call(
            "POST",
            "/2020-01-01/extension/init/error",
            PLAN["init_error"],
            Lambda_Extension_Function_Error_Type="Extension.ConfigInvalid",
            **mine,
        )
        sys.exit(1)
    time.sleep(PLAN.get("slow_init", 0))
    invocations = 0
    while True:
        note("next")
        status, _, event = call("GET", "/2020-01-01/extension/event/next", **mine)
        note("event", event=event)
        if event["eventType"] == "SHUTDOWN":
            time.sleep(PLAN.get("linger", 0))
            note("bye")
            return
        invocations += 1
        if PLAN.get("listen_at") == invocations:
            listen()
        if invocations == PLAN.get("exit_at"):
            sys.exit(PLAN.get("exit_code", 0))
        held = bytearray(PLAN.get("hold", 0) << 20)
        time.sleep(PLAN.get("work", 0))
        del held
        if invocations == 1 and "telemetry" in PLAN:
            status, _, body = subscribe(**mine)
            note("resubscribed", status=status, body=body)


main()
