"""How long aws-lambda-rie takes to answer when things go wrong, with the layer attached and without; needs root.

    python -m benchmarks.answers [--runs 5]

Each run is a new emulator and its first invocation: a function that crashes, one that fails to initialise, one that
runs into its timeout of 1 s, one in which nothing of ours ever rings (its own PYTHONPATH switches `.pth` files off),
and one that answers. The emulator holds an answer back until every extension has asked for the next event, which Lambda
does not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hoptrace_local.sink import OtlpSink
from tests.support import rie

CASES: dict[str, tuple[str, int, dict[str, str]]] = {
    "answers": ("def handler(e, c):\n    return e\n", 3, {}),
    "crashes": ("import os\ndef handler(e, c):\n    os._exit(3)\n", 3, {}),
    "init error": ("1/0\n", 3, {}),
    "timeout of 1 s": ("import time\ndef handler(e, c):\n    time.sleep(30)\n", 1, {}),
    "never rings": ("def handler(e, c):\n    return e\n", 3, {"PYTHONPATH": "/var/nowhere"}),
}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if reason := rie.can_run():
        print(f"cannot run here: {reason}", file=sys.stderr)
        return 1
    print("| first invocation | without, s (min) | with the layer, s (min) |\n|---|---|---|")
    with OtlpSink() as sink:
        for name, (source, timeout, more) in CASES.items():
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(options.runs):
                for layer in (False, True):
                    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, **more}
                    with (
                        tempfile.TemporaryDirectory(prefix="hoptrace-rie-") as folder,
                        rie.running(
                            Path(folder), {"app.py": source}, layer=layer, timeout=timeout, environment=environment
                        ) as emulator,
                    ):
                        seconds[layer].append(emulator.invoke(b"{}")[2])
            print(f"| {name} | {min(seconds[False]):.2f} | {min(seconds[True]):.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
