import json

from aws_xray_sdk.core import patch_all, xray_recorder


class Kept:
    def __init__(self):
        self.sent = []

    def send_entity(self, entity):
        self.sent.append(json.loads(entity.serialize()))


emitter = Kept()
xray_recorder.configure(emitter=emitter)
patch_all()

import frame  # noqa: E402


@xray_recorder.capture("mine")
def traced(event):
    return frame.work(event)


def told(entity):
    children = [told(child) for child in entity.get("subsegments", ())]
    return [entity["name"], entity.get("namespace"), bool(entity.get("fault")), children]


def handler(event, context):
    if event["do"] == "tell":
        return {"theirs": [told(entity) for entity in emitter.sent]}
    return traced(event)
