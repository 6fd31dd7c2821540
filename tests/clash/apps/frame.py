"""What every function of the matrix does: three AWS calls, an error when asked, and an answer that can be compared."""

import importlib
import os

import boto3

sqs = boto3.client("sqs", endpoint_url=os.environ["AWS"])
sns = boto3.client("sns", endpoint_url=os.environ["AWS"])
sts = boto3.client("sts", endpoint_url=os.environ["AWS"])


def work(event):
    if event["do"] == "raise":
        raise LookupError("as asked")
    sent = sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=event["do"])
    sns.publish(TopicArn=os.environ["TOPIC"], Message=event["do"])
    return {"md5": sent["MD5OfMessageBody"], "account": sts.get_caller_identity()["Account"], "copies": copies()}


def copies():
    """Whose copy of each shared package is imported here: its place and version."""
    found = {}
    for name in ("boto3", "botocore", "urllib3", "requests", "wrapt", "opentelemetry.trace"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            found[name] = None
        else:
            found[name] = [module.__file__, getattr(module, "__version__", "")]
    return found
