import frame
import wrapt


@wrapt.decorator
def loudly(wrapped, instance, args, kwargs):
    return {**wrapped(*args, **kwargs), "loud": wrapt.__version__}


@wrapt.when_imported("json.tool")
def noticed(module):
    module.NOTICED = True


class Client(wrapt.ObjectProxy):
    def send_message(self, **more):
        return self.__wrapped__.send_message(**more)


frame.sqs = Client(frame.sqs)


@loudly
def handler(event, context):
    import json.tool

    return {**frame.work(event), "noticed": json.tool.NOTICED}
