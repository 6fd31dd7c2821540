import json

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_xray_sdk.core import xray_recorder


class Kept:
    def __init__(self):
        self.sent = []

    def send_entity(self, entity):
        self.sent.append(json.loads(entity.serialize()))


emitter = Kept()
xray_recorder.configure(emitter=emitter)
logger = Logger(service="mine")
tracer = Tracer(service="mine")
processor = BatchProcessor(event_type=EventType.SQS)

import frame  # noqa: E402

answers = []


@tracer.capture_method
def record_handler(record):
    event = json.loads(record.body)
    logger.info("record", do=event["do"])
    answers.append(frame.work(event))


def told(entity):
    children = [told(child) for child in entity.get("subsegments", ())]
    return [entity["name"], entity.get("namespace"), bool(entity.get("fault")), children]


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event, context):
    if event.get("do") == "tell":
        return {"theirs": [told(entity) for entity in emitter.sent]}
    answers.clear()
    failed = process_partial_response(event, record_handler, processor, context)
    return {"failed": failed, "answers": list(answers)}
