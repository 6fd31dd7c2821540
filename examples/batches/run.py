"""Run one of the functions on this machine with a batch of four messages, and print what was recorded of each.

    python -m examples.batches.run by_hand | side_by_side | with_powertools

The last needs its requirements: pip install --target examples/batches/with_powertools -r …/requirements.txt
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
from hoptrace_local.sink import OtlpSink

HERE = Path(__file__).resolve().parent
LAYER = HERE.parents[1] / "dist" / "hoptrace-layer-x86_64.zip"
TOTALS = (20, 0, 35, 5)


def batch() -> dict[str, object]:
    """Four messages as SQS delivers them, each sent in a trace of its own; the second order has no total."""
    sent = int(time.time() * 1000) - 250
    records = []
    for number, total in enumerate(TOTALS, start=1):
        traceparent = f"00-{number:032x}-{number:016x}-01"
        records.append(
            {
                "messageId": f"0000000{number}-0000-4000-8000-000000000000",
                "receiptHandle": "handle",
                "body": json.dumps({"order": number, "total": total}),
                "attributes": {"SentTimestamp": str(sent), "ApproximateReceiveCount": "1"},
                "messageAttributes": {"traceparent": {"stringValue": traceparent, "dataType": "String"}},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
                "awsRegion": "us-east-1",
            }
        )
    return {"Records": records}


class _Payments(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Take the money."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def payments() -> Iterator[str]:
    """A payment provider on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Payments) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/charges"
        finally:
            server.shutdown()
            thread.join()


def run(name: str, folder: Path, layer: Path = LAYER) -> list[str]:
    """Invoke the function in `folder` with the batch; what its answer and each of its records came to, in lines."""
    with OtlpSink() as sink, payments() as address:
        environment = {"PAYMENTS": address, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        config = FunctionConfig(name, folder, "app.handler", layers=(layer,), environment=environment, timeout=20)
        with LambdaHost([config]) as host:
            answer = host.invoke(name, json.dumps(batch()).encode()).payload
        spans = list(sink.spans)
    lines = [f"answer: {answer.decode()}"]
    records = [span for span in spans if span.kind == "CONSUMER"]
    for record in sorted(records, key=lambda span: span.trace_id):
        calls = [span.name for span in spans if span.parent_id == record.span_id]
        outcome = record.attributes.get("error.type", "ok")
        lines.append(f"trace …{record.trace_id[-4:]}  {record.name}  {', '.join(calls) or '-'}  {outcome}")
    return lines


if __name__ == "__main__":
    print("\n".join(run(sys.argv[1], HERE / sys.argv[1])))
