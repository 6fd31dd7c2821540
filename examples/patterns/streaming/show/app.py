"""Shows what changed."""


def handler(event, context):
    """Answer every new item."""
    images = [record["dynamodb"]["NewImage"] for record in event["Records"]]
    return [{name: value["S"] for name, value in image.items()} for image in images]
