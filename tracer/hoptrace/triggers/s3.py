"""S3: a notification of what became of an object, sent to the function itself, or wrapped by a queue or a topic.

Recognised by: `Records[0].eventSource` is `aws:s3`.
Context: none; who wrote the object is met at the pointer, or linked to when the object is got (see the carrier).
Hops: S3, from `eventTime`.
Pointers: the id of the request that made or removed the object.
"""

from hoptrace.settings import settings
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record, from_iso, hop_since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes

SYSTEM = "aws.s3"
_OPERATIONS = {
    "ObjectCreated": "insert",
    "ObjectRemoved": "delete",
    "LifecycleExpiration": "delete",
    "Object Created": "insert",
    "Object Deleted": "delete",
}
# A key has 1,024 bytes at most, of which each may have been spelt with three.
_LONGEST_KEY = 3_072


def read(event: Shape, name: str) -> Arrival:
    """Read every record, which is one in all that S3 has ever sent, and of more no more than spans are made of."""
    members, most = event.items("Records"), settings().max_batch_links
    arrival = Arrival(name, "datasource", records=[_record(member) for member in members[:most]])
    arrival.records += [Record()] * max(0, len(members) - most)
    first = arrival.records[0].attributes
    if len(arrival.records) == 1:
        arrival.attributes = dict(first)
    else:
        arrival.attributes = {key: first[key] for key in ("aws.s3.bucket", "faas.document.collection") if key in first}
    return arrival


def _record(member: Shape) -> Record:
    bucket, thing = member.text("s3", "bucket", "name"), member.get("s3", "object")
    found = Record(name=f"process {bucket}".rstrip())
    kind = member.text("eventName")
    found.attributes = _about(bucket, unquoted(thing.text("key")), thing, "eTag", "versionId")
    _happened(found, kind, _OPERATIONS.get(kind.partition(":")[0], "edit" if kind else ""), member.text("eventTime"))
    start = from_iso(member.text("eventTime"))
    if start is not None:
        attributes = {key: value for key, value in found.attributes.items() if key.startswith("aws.s3.")}
        found.hops = [hop_since(f"S3 {bucket}".rstrip(), SYSTEM, start, attributes)]
    _point(found, member.text("responseElements", "x-amz-request-id"))
    return found


def of_bus(event: Shape, found: Record) -> None:
    """Add what an EventBridge event of S3's own says of the object; its key is not encoded there."""
    detail = event.get("detail")
    bucket, thing = detail.text("bucket", "name"), detail.get("object")
    found.attributes.update(_about(bucket, thing.text("key"), thing, "etag", "version-id"))
    kind = event.text("detail-type")
    _happened(found, detail.text("reason") or kind, _OPERATIONS.get(kind, "edit"), event.text("time"))
    _point(found, detail.text("request-id"))


def _point(found: Record, request_id: str) -> None:
    if request_id:
        found.pointers.append((SYSTEM, request_id))


def _happened(found: Record, kind: str, operation: str, time: str) -> None:
    found.attributes.update(
        (key, value)
        for key, value in (
            ("hoptrace.s3.event", kind),
            ("faas.document.operation", operation),
            ("faas.document.time", time),
        )
        if value
    )


def _about(bucket: str, key: str, thing: Shape, etag: str, version: str) -> "Attributes":
    found: Attributes = {
        name: value
        for name, value in (
            ("aws.s3.bucket", bucket),
            ("aws.s3.key", key),
            ("faas.document.collection", bucket),
            ("faas.document.name", key),
            ("hoptrace.s3.etag", thing.text(etag)),
            ("hoptrace.s3.version_id", thing.text(version)),
        )
        if value
    }
    size = thing.number("size")
    if size is not None:
        found["hoptrace.s3.size"] = int(size)
    return found


def unquoted(key: str) -> str:
    """Decode a key as notifications spell it: percent signs, and a plus for a space.

    By hand, since `urllib.parse` is not loaded in a function that has not imported it.
    """
    first, *parts = key[:_LONGEST_KEY].replace("+", " ").split("%")
    found = [first.encode("utf-8", "surrogatepass")]
    for part in parts:
        digits = part[:2]
        spelt = len(digits) == 2 and not digits.strip("0123456789abcdefABCDEF")
        found.append(bytes((int(digits, 16),)) if spelt else b"%")
        found.append(part[2 if spelt else 0 :].encode("utf-8", "surrogatepass"))
    return b"".join(found).decode("utf-8", "replace")
