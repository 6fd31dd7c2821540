"""Judges of an execution environment: what is in it, how it begins and ends, what the platform says of it."""
# ruff: noqa: D103  the question that each answers stands beside it in assumptions.py

import itertools
from collections.abc import Callable
from typing import Any

from evidence import FAILS, Finding, Found, events, fact, facts, shell, start, statuses, verdict

#: What the tracer imports at module level, and so expects to be loaded already.
LOADED = ("contextvars", "functools", "importlib", "json", "logging", "os", "re", "sys", "time", "traceback")


def ending(expected: str, scenario: str, do: str) -> Callable[[Found], Finding]:
    def judge(found: Found) -> Finding:
        seen = statuses(found, scenario, do)
        return verdict(f"runtimeDone: {expected}" in seen, seen)

    return judge


def lateness(found: Found) -> Finding:
    started, listening = start(found, "late"), None
    for line in found["late"]["extension"]:
        if line["kind"] == "listening" and listening is None:
            listening = line["t"]
    if listening is None:
        raise KeyError("listening")
    came: dict[str, list[float]] = {}
    for at, _, event in events(found, "late"):
        record = event.get("record")
        which = record.get("requestId", "") if isinstance(record, dict) else ""
        came.setdefault(f"{event['type']} {event.get('time')} {which}", []).append(at)
    first = {key.split(" ", 1)[0] for key in came if key.startswith("platform.init")}
    twice = sum(len(times) > 1 for times in came.values())
    delay = min(min(times) for times in came.values()) - listening
    seen = (
        f"listener up {listening - started['registered']:.1f} s after /register; first delivery {delay:+.2f} s later; "
        f"of the initialisation: {', '.join(sorted(first)) or 'nothing'}; {twice} of {len(came)} events came twice"
    )
    return verdict(first and twice == 0, seen)


def refusals(found: Found) -> Finding:
    lines = [line for line in found["refusing"]["extension"] if line["kind"] == "telemetry"]
    refused = [line for line in lines if line["status"] == 500]
    if not refused:
        raise KeyError("nothing was refused")
    first = refused[0]["events"]
    again = [line for line in lines if line["events"] == first]
    pauses = [f"{later['t'] - earlier['t']:.2f}" for earlier, later in itertools.pairwise(again)]
    taken = any(line["status"] == 200 for line in again)
    seen = f"the first batch came {len(again)} times, pauses {', '.join(pauses) or 'none'} s; finally taken: {taken}"
    return verdict(taken, seen)


def report_with_next(found: Found) -> Finding:
    invokes = [line for line in found["raised"]["extension"] if line["kind"] == "invoke"]
    order = {line["request_id"]: number for number, line in enumerate(invokes)}
    late = []
    for at, _, event in events(found, "raised"):
        if event["type"] == "platform.report" and (number := order.get(event["record"]["requestId"])) is not None:
            following = invokes[number + 1]["t"] if number + 1 < len(invokes) else None
            late.append("after the next INVOKE" if following and at >= following - 0.05 else "before the next INVOKE")
    return fact(", ".join(f"{late.count(each)} × {each}" for each in sorted(set(late))))


def quiet(found: Found) -> Finding:
    kinds: dict[str, int] = {}
    for _, _, event in events(found, "quiet"):
        kinds[event["type"]] = kinds.get(event["type"], 0) + 1
    seen = ", ".join(f"{kind} × {count}" for kind, count in sorted(kinds.items()))
    return verdict("platform.start" in kinds and "platform.runtimeDone" in kinds, seen or "no telemetry")


def shutdowns(found: Found) -> dict[str, Any]:
    seen = {}
    for scenario in ("timeout", "exit", "memory"):
        for line in found.get(scenario, {}).get("extension", ()):
            if line["kind"] == "shutdown":
                seen[scenario] = line
    for line in found.get("endings", ()):
        if line.get("kind") == "shutdown":
            seen.setdefault(f"end of {line['probe']}", line)
    if not seen:
        raise KeyError("no shutdown was seen")
    return seen


def reasons(found: Found) -> Finding:
    seen = {name: line["reason"] for name, line in shutdowns(found).items()}
    known = {"spindown", "timeout", "failure"}
    return verdict(
        {str(reason).lower() for reason in seen.values()} <= known,
        ", ".join(f"{name}: {reason!r}" for name, reason in seen.items()),
    )


def deadlines(found: Found) -> Finding:
    seen = {name: line["left_ms"] for name, line in shutdowns(found).items()}
    return verdict(min(seen.values()) >= 1000, ", ".join(f"{name}: {left} ms" for name, left in seen.items()))


def sigterm(found: Found) -> Finding:
    last = [line["after_ms"] for line in found.get("endings", ()) if line.get("kind") == "sigterm"]
    if not last:
        raise KeyError("no SIGTERM was seen")
    return fact(f"alive for {max(last)} ms after SIGTERM")


def after_timeout(found: Found) -> Finding:
    lines = found["timeout"]["function"]
    beats = [line for line in lines if line["kind"] == "heartbeat"]
    began = next(line for line in lines if line.get("do") == "sleep")
    following = next(line for line in lines if line["kind"] == "invocation" and line["t"] > began["t"])
    ran = max(line["t"] for line in beats) - began["t"]
    on = [line for line in beats if line["t"] > following["t"]]
    seen = f"heartbeats until {ran:.1f} s after the start; {len(on)} after the next invocation began"
    return verdict(not on, f"{seen}; same process: {following['pid'] == began['pid']}")


def tmp_survives(found: Found) -> Finding:
    pids = {line["pid"] for line in found["timeout"]["function"]}
    return verdict(len(pids) > 1, f"{len(pids)} processes in one evidence file")


def bell(found: Found) -> Finding:
    rung = [line for line in found["facts"]["extension"] if line["kind"] == "bell"]
    return verdict(rung, f"{len(rung)} rings heard; written: {found['facts']['answer']['ring']}")


def pth(found: Found) -> Finding:
    seen = facts(found)["pth"]
    if seen is None:
        return Finding(FAILS, "not executed")
    names = ("get_handler", "extract_traceback", "wait_next_invocation", "post_invocation_error")
    missing = [name for name in names if not seen[name]]
    ok = seen["runtime_loaded"] and not seen["handler_loaded"] and not missing
    return verdict(
        ok,
        f"runtime client loaded: {seen['runtime_loaded']}, handler loaded: {seen['handler_loaded']}, "
        f"missing in the client: {', '.join(missing) or 'nothing'}",
    )


def loaded(found: Found) -> Finding:
    modules = set(facts(found)["pth"]["modules"])
    missing = [name for name in LOADED if name not in modules]
    return verdict(not missing, f"not loaded: {', '.join(missing)}" if missing else "all loaded")


def order(found: Found) -> Finding:
    later = facts(found)["process_began"] - start(found)["registered"]
    # The kernel counts a process's start in hundredths of a second.
    return verdict(later >= -0.02, f"{later:+.2f} s after /register")


def variables(found: Found) -> Finding:
    seen = set(start(found)["variables"])
    expected_missing = {"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT", "_HANDLER"}
    unexpected = sorted(expected_missing & seen)
    only = sorted(set(facts(found)["variables"]) - seen)
    needed = [name for name in ("AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME") if name not in seen]
    return verdict(
        not unexpected and not needed,
        f"only in the function: {', '.join(only)}" + (f"; unexpected here: {unexpected}" if unexpected else ""),
    )


def shell_has(name: str, assumed: Callable[[str], bool] = bool) -> Callable[[Found], Finding]:
    def judge(found: Found) -> Finding:
        value = shell(found).get(name, "")
        return verdict(assumed(value), value or "nothing")

    return judge


def bash_version(value: str) -> bool:
    major, minor = (int(part) for part in value.split(".")[:2])
    return (major, minor) >= (4, 2)


def python_path(found: Found) -> Finding:
    return verdict(found["python_path"]["pth"] is None, f".pth executed: {found['python_path']['pth'] is not None}")


def init_type(found: Found) -> Finding:
    seen = [found_in["safe"]["AWS_LAMBDA_INITIALIZATION_TYPE"] for found_in in (facts(found), start(found))]
    return verdict(seen == ["on-demand"] * 2, ", ".join(map(str, seen)))


def _hook(found: Found, when: str) -> Any:
    hooks = [line for line in found["snapped"]["function"] if line["kind"] == "hook" and line["when"] == when]
    if len(hooks) != 1:
        raise KeyError(f"{len(hooks)} hooks {when}")
    return hooks[0]


def snapshot_credentials(found: Found) -> Finding:
    inside = set(found["snapped"]["answer"]["facts"]["variables"])
    outside = set(start(found, "snapped")["variables"])
    wanted = {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"}
    unwanted = {"AWS_ACCESS_KEY_ID", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_LOG_GROUP_NAME"}
    seen = []
    for side, names in (("function", inside), ("extension", outside)):
        lacks, has = sorted(wanted - names), sorted(unwanted & names)
        seen.append(f"{side}: lacks {', '.join(lacks) or 'none'}, has {', '.join(has) or 'none'}")
    return verdict(wanted <= inside & outside and not unwanted & (inside | outside), "; ".join(seen))


def snapshot_hooks(found: Found) -> Finding:
    before, after = _hook(found, "before"), _hook(found, "after")
    wall, monotonic = after["t"] - before["t"], after["monotonic"] - before["monotonic"]
    seen = (
        f"{wall:.1f} s apart by the wall clock, {monotonic:.1f} s by the monotonic one; "
        f"urandom {'differs' if before['urandom'] != after['urandom'] else 'is the same'}"
    )
    return verdict(before["urandom"] != after["urandom"] and wall >= 0, seen)


def snapshot_tmp(found: Found) -> Finding:
    missing = set(_hook(found, "before")["there"]) - set(_hook(found, "after")["there"])
    return verdict(not missing, f"missing after the restore: {', '.join(sorted(missing)) or 'nothing'}")


def snapshot_extension(found: Found) -> Finding:
    starts = [line for line in found["snapped"]["extension"] if line["kind"] == "start"]
    before = starts[-1]["t"] <= _hook(found, "before")["t"]
    return verdict(
        len(starts) == 1 and before, f"{len(starts)} start(s), the last {'before' if before else 'after'} it"
    )


def snapshot_telemetry(found: Found) -> Finding:
    kinds = [event["type"] for _, _, event in events(found, "snapped")]
    told = [kind.removeprefix("platform.") for kind in kinds if kind.startswith("platform.restore")]
    done = "platform.runtimeDone"
    early = "platform.restoreReport" in kinds and (
        done not in kinds or kinds.index("platform.restoreReport") < kinds.index(done)
    )
    return verdict(early, ", ".join(told) or "nothing of a restore")
