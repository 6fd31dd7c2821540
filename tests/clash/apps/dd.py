import ddtrace.auto  # noqa: F401
import frame
from ddtrace import tracer


@tracer.wrap("mine")
def handler(event, context):
    span = tracer.current_span()
    return {**frame.work(event), "named": span.name}
