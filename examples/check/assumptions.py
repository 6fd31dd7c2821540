"""What hoptrace assumes of AWS Lambda and has not seen there: one row an assumption.

To ask something new, have the probe write it down, and add a row here with a judge.
"""

from evidence import UNSEEN, Assumption, Finding, Found, fact, facts, shell, start, verdict
from judges_of_environments import (
    after_timeout,
    bash_version,
    bell,
    deadlines,
    ending,
    init_type,
    lateness,
    loaded,
    order,
    pth,
    python_path,
    quiet,
    reasons,
    refusals,
    report_with_next,
    shell_has,
    sigterm,
    snapshot_credentials,
    snapshot_extension,
    snapshot_hooks,
    snapshot_telemetry,
    snapshot_tmp,
    tmp_survives,
    variables,
)
from judges_of_hops import (
    alert,
    attributes_hop,
    bus_hop,
    bus_queue_hop,
    client_w3c,
    destination,
    invoke_header,
    plain_header,
    queue_hop,
    replay,
    retries,
    schedule,
    service_w3c,
    topic_hop,
)


def ask(found: Found) -> list[tuple[Assumption, Finding]]:
    """Every assumption with its finding; a judge that fails has not seen what it looks for."""
    answers = []
    for assumption in ASSUMPTIONS:
        try:
            finding = assumption.judge(found)
        except (LookupError, StopIteration, TypeError, ValueError, AttributeError) as error:
            finding = Finding(UNSEEN, f"no evidence ({type(error).__name__})")
        answers.append((assumption, finding))
    return answers


ASSUMPTIONS: tuple[Assumption, ...] = (
    Assumption(
        "versions",
        "Which Python, runtime client, boto3 and botocore?",
        "",
        lambda f: fact(
            ", ".join(f"{name} {facts(f)[name]}" for name in ("python", "awslambdaric", "boto3", "botocore"))
        ),
    ),
    Assumption("bash", "Which bash starts an extension?", "4.2 or later", shell_has("bash", bash_version)),
    Assumption("dev-tcp", "Has bash /dev/tcp compiled in?", "yes", shell_has("dev_tcp", lambda v: v == "yes")),
    Assumption("printf-time", "Does bash's printf know %(%s)T?", "yes", shell_has("printf_time", str.isdigit)),
    Assumption(
        "epochrealtime", "Has bash EPOCHREALTIME (5.0)?", "", lambda f: fact(shell(f).get("epochrealtime") or "no")
    ),
    Assumption("nice", "Is there a `nice`?", "yes", shell_has("program_nice")),
    Assumption(
        "programs",
        "Which of mkfifo, sleep, cat, python3 does PATH have?",
        "",
        lambda f: fact(
            ", ".join(n.removeprefix("program_") for n, v in shell(f).items() if n.startswith("program_") and v)
        ),
    ),
    Assumption(
        "var-lang",
        "Is Python at /var/lang/bin/python3?",
        "yes",
        lambda f: verdict(
            facts(f)["var_lang"], f"function: {facts(f)['var_lang']}; the extension runs {start(f)['python']}"
        ),
    ),
    Assumption(
        "mkfifo",
        "Can a function make a FIFO in /tmp?",
        "yes",
        lambda f: verdict(facts(f)["mkfifo"] is True, facts(f)["mkfifo"]),
    ),
    Assumption("shared-fifo", "Do extension and function share a FIFO in /tmp?", "yes", bell),
    Assumption(
        "proc-stat",
        "Does /proc/self/stat tell when the process started?",
        "yes",
        lambda f: verdict(0 <= float(facts(f)["process_age_s"]) < 600, f"{facts(f)['process_age_s']} s ago"),
    ),
    Assumption(
        "same-user",
        "Do both run as the same user?",
        "yes",
        lambda f: verdict(facts(f)["uid"] == start(f)["uid"], f"{facts(f)['uid']} and {start(f)['uid']}"),
    ),
    Assumption("pth", "Is a layer's .pth executed after the runtime client is loaded, before the handler?", "yes", pth),
    Assumption("pythonpath", "Does a PYTHONPATH of the function's switch that off?", "yes", python_path),
    Assumption(
        "snapshot-variables",
        "SnapStart: container credentials instead of keys, and no log names?",
        "yes, on both sides",
        snapshot_credentials,
    ),
    Assumption(
        "snapshot-hooks",
        "SnapStart: do the runtime's hooks run once before and after, and is os.urandom renewed?",
        "yes",
        snapshot_hooks,
    ),
    Assumption("snapshot-tmp", "SnapStart: is what /tmp had at the snapshot there after it?", "yes", snapshot_tmp),
    Assumption(
        "snapshot-extension",
        "SnapStart: does the extension's process run on from the snapshot?",
        "yes: its start is older than the restore",
        snapshot_extension,
    ),
    Assumption(
        "snapshot-telemetry",
        "SnapStart: is an extension told platform.restoreReport, and when?",
        "yes, before the invocation is over",
        snapshot_telemetry,
    ),
    Assumption("loaded", "Has the runtime client loaded what the tracer imports?", "yes", loaded),
    Assumption("path", "What does sys.path begin with?", "", lambda f: fact(facts(f)["path"])),
    Assumption("init-type", "AWS_LAMBDA_INITIALIZATION_TYPE, on both sides?", "on-demand in both", init_type),
    Assumption(
        "variables", "Which variables does an extension see?", "none that begins with _, no log stream", variables
    ),
    Assumption("registration", "Does the runtime start only after /register?", "yes", order),
    Assumption("register-answer", "What does /register answer?", "", lambda f: fact(start(f)["registration"])),
    Assumption(
        "sandbox",
        "Does sandbox.localdomain resolve?",
        "yes",
        lambda f: verdict(isinstance(start(f)["sandbox"], list), start(f)["sandbox"]),
    ),
    Assumption(
        "telemetry-late",
        "A listener that comes up 3 s late: what arrives, when, how often?",
        "everything of before, once",
        lateness,
    ),
    Assumption(
        "telemetry-refused",
        "A batch that is answered with 500: how often does it come again?",
        "until it is taken",
        refusals,
    ),
    Assumption("telemetry-levels", "Do LoggingConfig's levels thin the Telemetry stream?", "no", quiet),
    Assumption("report-late", "When does platform.report come?", "", report_with_next),
    Assumption("status-raised", "Status of a handler that raised?", "success", ending("success", "raised", "raise")),
    Assumption("status-timeout", "Status of a timeout?", "timeout", ending("timeout", "timeout", "sleep")),
    Assumption("status-exit", "Status of os._exit?", "error", ending("error", "exit", "exit")),
    Assumption("status-memory", "Status when out of memory?", "error", ending("error", "memory", "fill")),
    Assumption(
        "shutdown-reason", "In which letters does SHUTDOWN give its reason?", "one of three words, any case", reasons
    ),
    Assumption("shutdown-deadline", "How long is left at SHUTDOWN?", "at least a second", deadlines),
    Assumption("sigterm", "How long does the runtime live after SIGTERM: 300 or 600 ms?", "", sigterm),
    Assumption("after-timeout", "Does the old handler keep running after a timeout?", "no", after_timeout),
    Assumption("tmp", "Does /tmp survive the reset after a timeout?", "yes", tmp_survives),
    Assumption(
        "client-w3c", "Is context.w3c() filled from a ClientContext's w3c?", "yes, and taken out of it", client_w3c
    ),
    Assumption("service-w3c", "Does the service fill context.w3c() itself?", "not yet", service_w3c),
    Assumption(
        "client-custom",
        "Does ClientContext.custom arrive?",
        "yes",
        lambda f: verdict(f["context"]["with_w3c"]["custom"] == {"k": "v"}, f["context"]["with_w3c"]["custom"]),
    ),
    Assumption("plain-header", "Is there a trace header with tracing off?", "yes", plain_header),
    Assumption("odd-root-invoke", "Does Invoke keep a Root that is no recent time?", "yes", invoke_header),
    Assumption("odd-root-sqs", "Does SQS's AWSTraceHeader keep it, to the letter?", "yes", queue_hop),
    Assumption("sqs-attribute", "Does the traceparent attribute arrive?", "yes", attributes_hop),
    Assumption("odd-root-sns", "What arrives through SNS and SQS?", "the traceparent attribute", topic_hop),
    Assumption("odd-root-bus", "What of TraceHeader reaches EventBridge's target function?", "", bus_hop),
    Assumption("odd-root-bus-queue", "What of TraceHeader reaches EventBridge's target queue?", "", bus_queue_hop),
    Assumption("alert", "Does an alert arrive as sent, traceparent included?", "yes", alert),
    Assumption("async-retry", "Do asynchronous retries keep the request id?", "yes", retries),
    Assumption("destination", "Which source has a destination's event?", "lambda or aws.lambda", destination),
    Assumption("schedule", "What does a schedule without input send?", "", schedule),
    Assumption("replay", "Does a replayed event keep its id, and say replay-name?", "yes", replay),
)
