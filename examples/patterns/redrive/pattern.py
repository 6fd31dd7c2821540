"""A redrive: what was put aside is processed after all."""


def start(hand):
    """Accept a parcel that cannot be sorted yet, put a box up for it, and redrive what was put aside."""
    hand.invoke("Accept", {"parcel": "7", "to": "west"})
    hand.wait(lambda: hand.lying("LostQueue") == 1, "a message in the dead-letter queue")
    hand.client("dynamodb").put_item(TableName=hand.ref("BoxesTable"), Item={"place": {"S": "west"}, "box": {"N": "3"}})
    redrive(hand, "LostQueue", "ParcelsQueue")


def redrive(hand, aside, source):
    """Send every message of the dead-letter queue to the queue that it came from.

    On AWS that is `aws sqs start-message-move-task`; the emulated AWS has no such call, so it is done as people did
    before there was one: with all attributes that the message has.
    """
    sqs = hand.client("sqs")
    asked = {"MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"], "MaxNumberOfMessages": 10}
    while messages := sqs.receive_message(QueueUrl=hand.ref(aside), **asked).get("Messages"):
        for message in messages:
            header = message["Attributes"].get("AWSTraceHeader")
            system = {"AWSTraceHeader": {"DataType": "String", "StringValue": header}} if header else {}
            sqs.send_message(
                QueueUrl=hand.ref(source),
                MessageBody=message["Body"],
                MessageAttributes=message.get("MessageAttributes", {}),
                MessageSystemAttributes=system,
            )
            sqs.delete_message(QueueUrl=hand.ref(aside), ReceiptHandle=message["ReceiptHandle"])


def judge(outcome):
    """The second time it went well."""
    payloads = [answer.payload for answer in outcome.answered if answer.function == "sort" and not answer.error]
    yield "after the redrive the parcel is in its box", "" if payloads == [["3"]] else str(payloads)
