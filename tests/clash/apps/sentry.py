import os

import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

dsn = os.environ["THEIRS"].replace("http://", "http://key@") + "/1"
sentry_sdk.init(dsn=dsn, integrations=[AwsLambdaIntegration()], traces_sample_rate=1.0)

import frame  # noqa: E402


def handler(event, context):
    with sentry_sdk.start_span(op="mine", name="mine"):
        return frame.work(event)
