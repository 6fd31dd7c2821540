import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=os.environ["THEIRS"] + "/v1/traces")))
trace.set_tracer_provider(provider)
BotocoreInstrumentor().instrument()

import frame  # noqa: E402

tracer = trace.get_tracer("mine")


def handler(event, context):
    if event["do"] == "tell":
        spans = memory.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans}
        told = [
            [s.name, s.kind.name, names.get(s.parent.span_id) if s.parent else None, s.status.status_code.name]
            for s in spans
        ]
        return {"theirs": told}
    with tracer.start_as_current_span("mine"):
        return frame.work(event)


AwsLambdaInstrumentor().instrument()
