"""The probe: does what an event asks it to, and tells what a function can see here."""

import json
import os
import signal
import sys
import threading
import time

LOADED = time.time()
FOLDER = os.path.join(os.environ.get("TMPDIR", "/tmp"), "hoptrace-check")
SAFE = ("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_FORMAT", "TZ", "LANG", "PATH")
invocations = 0


def note(kind, aloud=False, **what):
    """One line of evidence, in a file that survives this process."""
    os.makedirs(FOLDER, exist_ok=True)
    line = json.dumps({"kind": kind, "t": time.time(), "pid": os.getpid(), **what})
    with open(os.path.join(FOLDER, "function.jsonl"), "a", encoding="utf-8") as file:
        file.write(line + "\n")
    if aloud:
        print("HOPTRACE-CHECK", line, flush=True)


def on_sigterm(number, frame):
    """How long is left after SIGTERM? Say so until the end; the main thread goes on as it was."""

    def count():
        began = time.monotonic()
        note("sigterm", aloud=True, after_ms=0)
        while True:
            time.sleep(0.05)
            note("sigterm", aloud=True, after_ms=round((time.monotonic() - began) * 1000))

    threading.Thread(target=count, daemon=True).start()


if os.environ.get("CHECK_SIGTERM"):
    signal.signal(signal.SIGTERM, on_sigterm)


def hook(when):
    """A runtime hook of SnapStart: when it ran, what was there, and what the two random sources give."""
    import random

    there = sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []
    drawn = random.random()  # noqa: S311  what a snapshot makes of it is the question
    what = {"there": there, "random": drawn, "urandom": os.urandom(8).hex()}
    note("hook", when=when, monotonic=time.monotonic(), **what)


if os.environ.get("CHECK_SNAPSHOT"):
    try:
        import snapshot_restore_py

        snapshot_restore_py.register_before_snapshot(hook, "before")
        snapshot_restore_py.register_after_restore(hook, "after")
    except ImportError as error:
        note("hook", when="none", error=str(error))


def facts():
    """What there is."""
    import boto3
    import botocore

    try:
        from importlib.metadata import version

        client = version("awslambdaric")
    except Exception as error:
        client = f"{type(error).__name__}: {error}"
    if client[:1] not in "0123456789":
        client = getattr(sys.modules.get("awslambdaric"), "__version__", client)
    fifo = os.path.join(FOLDER, f"fifo-{os.getpid()}")
    try:
        os.makedirs(FOLDER, exist_ok=True)
        os.mkfifo(fifo, 0o600)
        made = True
        os.unlink(fifo)
    except OSError as error:
        made = str(error)
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        read_at = time.time()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except Exception as error:
        age = str(error)
    pth = sys.modules.get("hoptrace_check_pth")
    return {
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "var_lang": os.access("/var/lang/bin/python3", os.X_OK),
        "boto3": boto3.__version__,
        "botocore": botocore.__version__,
        "awslambdaric": client,
        "mkfifo": made,
        "process_age_s": age,
        "process_began": read_at - age if isinstance(age, float) else None,
        "loaded_s_ago": time.time() - LOADED,
        "pth": getattr(pth, "SEEN", None),
        "path": sys.path[:6],
        "variables": sorted(os.environ),
        "safe": {name: os.environ.get(name) for name in SAFE},
        "uid": os.getuid(),
    }


def ring():
    """Write into the FIFO that the extension made."""
    try:
        descriptor = os.open(os.path.join(FOLDER, "bell"), os.O_RDWR | os.O_NONBLOCK)
        os.write(descriptor, b"i")
        os.close(descriptor)
    except OSError as error:
        return str(error)
    return True


def heartbeat(seconds):
    """Longer than we may: a line every tenth of a second tells until when this goes on."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        note("heartbeat")
        time.sleep(0.1)


def fill():
    """More memory than we have."""
    held = []
    while True:
        held.append(bytearray(b"x" * (8 << 20)))


def seen_in_context(context):
    """What of a trace the runtime client hands over."""
    client_context = getattr(context, "client_context", None)
    w3c = getattr(context, "w3c", None)
    return {
        "trace_header": os.environ.get("_X_AMZN_TRACE_ID"),
        "has_w3c": callable(w3c),
        "w3c": w3c() if callable(w3c) else None,
        "custom": getattr(client_context, "custom", None),
        "client_context_w3c": getattr(client_context, "w3c", None),
    }


def collect():
    """All evidence of this environment, the newest 4 MB of it."""
    found = {}
    for name in ("extension.jsonl", "function.jsonl", "shell.txt", "shell.err"):
        try:
            with open(os.path.join(FOLDER, name), encoding="utf-8", errors="replace") as file:
                found[name] = file.read()[-2_000_000:]
        except OSError as error:
            found[name] = ""
            found[f"{name} error"] = str(error)
    return found


def handler(event, context):
    """`do` is one of the names below."""
    global invocations
    invocations += 1
    do = event.get("do", "nothing")
    note("invocation", do=do, number=invocations, request_id=context.aws_request_id, **seen_in_context(context))
    answer = {"do": do, "pid": os.getpid(), "number": invocations, "context": seen_in_context(context)}
    if do == "facts":
        answer["facts"] = facts()
        answer["ring"] = ring()
    elif do == "raise":
        raise LookupError("as asked")
    elif do == "sleep":
        heartbeat(event["seconds"])
    elif do == "exit":
        os._exit(3)
    elif do == "fill":
        fill()
    elif do == "say":
        print(event["text"], flush=True)
    elif do == "wait":
        time.sleep(event["seconds"])
    elif do == "collect":
        answer["evidence"] = collect()
    return answer
