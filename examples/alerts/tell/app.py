"""Makes a message of what EventBridge has matched, for people."""

import os

import boto3

from hoptrace.alerts import Alert, parse

sns = boto3.client("sns")


def handler(event, context):
    """Publish one message, with a link to the trace where there is one."""
    subject, text = message(parse(event))
    sns.publish(TopicArn=os.environ["TOPIC_ARN"], Subject=subject[:100], Message=text)


def message(told):
    """Say in a subject and a text what an alert or a summary says."""
    name = told.resource.function_name
    if isinstance(told, Alert):
        state = "over" if told.resolved else told.severity
        lines = [told.reason, told.link, told.runbook]
        return f"{name}: {told.rule} ({state})", "\n".join(line for line in lines if line)
    took = told.init_duration or told.duration
    start = "cold start" if told.cold_start else "invocation"
    trace = f"trace {told.trace.trace_id}" if told.trace else ""
    return f"{name}: {start} of {took:.0f} ms", f"{told.initialization_type}, {told.outcome}; {trace}"
