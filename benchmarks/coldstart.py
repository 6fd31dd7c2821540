"""Cold starts with the layer against none: from an invoke that finds no environment to its first response.

    python -m benchmarks.coldstart [--runs 25] [--cpus 1 --cpus 2] [--output build/bench/coldstart.json]

Each run is a new environment of the local Lambda, started from nothing: extensions, runtime, handler, answer. Runs are
interleaved (bare, attached, bare, …), so that a machine that slows down slows both; what counts is the ratio of the
minima. One CPU stands for a function of up to 1,769 MB. Everything is pinned there, the local Lambda itself included.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "dist" / "hoptrace-layer-x86_64.zip"
FUNCTIONS = {
    "hello": "def handler(event, context):\n    return {'statusCode': 200}\n",
    "boto3": "import boto3\nsqs = boto3.client('sqs', region_name='us-east-1')\n\n\n"
    "def handler(event, context):\n    return {'statusCode': 200}\n",
}
# The most that a cold start with everything attached may take, as a multiple of the bare one.
BUDGETS = {"hello": 1.40, "boto3": 1.10}


def measure(runs: int, python: Path | None) -> dict[str, list[float]]:
    """Milliseconds to the first response of each run, by `function/variant`."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="hoptrace-bench-") as folder:
        configs = []
        for name, source in FUNCTIONS.items():
            code = Path(folder) / name
            code.mkdir()
            (code / "app.py").write_text(source)
            for variant, layers in (("bare", ()), ("attached", (LAYER,))):
                configs.append(
                    FunctionConfig(
                        f"{name}-{variant}", code, "app.handler", layers=layers, memory=1769, timeout=30, python=python
                    )
                )
        with LambdaHost(configs) as host:
            for run in range(runs + 1):
                for config in configs:
                    result = host.invoke(config.name, b"{}")
                    if result.function_error or not result.cold_start:
                        raise SystemExit(f"{config.name}: not a cold start that answered: {result}")
                    if run:  # the first fills the caches
                        found.setdefault(config.name.replace("-", "/"), []).append(result.response_seconds * 1000)
                    host.shutdown(config.name)
    return found


def table(results: dict[str, dict[str, list[float]]]) -> tuple[list[str], bool]:
    """The results as lines of a Markdown table, and whether every budget is kept."""
    lines = [
        "| function | CPUs | bare, ms (min, median) | attached, ms (min, median) | × bare (min) | × bare (median) |"
    ]
    lines.append("|---|---|---|---|---|---|")
    kept = True
    for cpus, runs in results.items():
        for name in FUNCTIONS:
            bare, attached = runs[f"{name}/bare"], runs[f"{name}/attached"]
            ratio = min(attached) / min(bare)
            medians = statistics.median(attached) / statistics.median(bare)
            kept = kept and ratio <= BUDGETS[name]
            mark = "" if ratio <= BUDGETS[name] else f" (over the budget of {BUDGETS[name]:.2f})"
            lines.append(
                f"| {name} | {cpus} | {min(bare):.1f}, {statistics.median(bare):.1f} "
                f"| {min(attached):.1f}, {statistics.median(attached):.1f} | {ratio:.2f}{mark} | {medians:.2f} |"
            )
    return lines, kept


def main() -> int:
    """The command; 1 when a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--cpus", type=int, action="append", help="how many CPUs to measure on (default: 1 and 2)")
    parser.add_argument("--python", type=Path, help="the function's interpreter (default: the one that runs this)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench" / "coldstart.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.runs, options.python)))
        return 0
    available = sorted(os.sched_getaffinity(0))
    results: dict[str, dict[str, list[float]]] = {}
    for count in options.cpus or [1, 2]:
        if count > len(available):
            print(f"skipped {count} CPUs: there are {len(available)}", file=sys.stderr)
            continue
        print(
            f"measuring on {count} CPU{'s' * (count > 1)}: {options.runs} runs of each …", file=sys.stderr, flush=True
        )
        chosen = set(available[-count:])
        command = [sys.executable, "-m", "benchmarks.coldstart", "--child", "--runs", str(options.runs)]
        if options.python:
            command += ["--python", str(options.python)]
        # Only the child is pinned, before it starts a thread.
        pin = functools.partial(os.sched_setaffinity, 0, chosen)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT, preexec_fn=pin)
        results[str(count)] = json.loads(done.stdout)
    lines, kept = table(results)
    print("\n".join(lines))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    about = {"python": platform.python_version(), "layer_bytes": LAYER.stat().st_size, "runs": options.runs}
    options.output.write_text(json.dumps({"about": about, "milliseconds": results}, indent=1))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
