from importlib.metadata import version

import frame
from opentelemetry import baggage, context, trace

tracer = trace.get_tracer("mine")


def handler(event, context_):
    token = context.attach(baggage.set_baggage("tenant", "blue"))
    try:
        with tracer.start_as_current_span("mine") as span:
            span.set_attribute("a", 1)
            answer = frame.work(event)
            return {
                **answer,
                "api": version("opentelemetry-api"),
                "tenant": baggage.get_baggage("tenant"),
            }
    finally:
        context.detach(token)
