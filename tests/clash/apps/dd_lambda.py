import frame
from ddtrace import tracer


def handler(event, context):
    with tracer.trace("mine"):
        return frame.work(event)
