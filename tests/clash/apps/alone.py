import frame


def handler(event, context):
    return frame.work(event)
