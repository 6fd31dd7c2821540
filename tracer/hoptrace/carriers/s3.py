"""S3: user metadata of an object, for whoever gets the object; a notification does not have it.

Calls: S3 PutObject, CreateMultipartUpload, and CopyObject with `MetadataDirective=REPLACE`.
Written: metadata `traceparent`, and `tracestate` and `baggage` if there are any.
Read: the same, from the answers of GetObject and HeadObject: a link from that call's span to who wrote the object.
Limits: 2,048 bytes of user metadata, names (with `x-amz-meta-`) and values.
Without room: first without `baggage`, then without `tracestate`, then nothing; the request id is a pointer in any case.
Default: opt-in `s3`
"""

from hoptrace.carriers.attributes import bytes_of
from hoptrace.propagation import choices, extract, has_context, no_room
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hoptrace.carriers.attributes import Entry

# S3 user guide, "Working with object metadata": "the user-defined metadata is limited to 2 KB in size … the sum of the
# number of bytes in the UTF-8 encoding of each key and value". Whether a key has its prefix there, it does not say.
METADATA_BYTES = 2_048
_PREFIX_BYTES = len("x-amz-meta-")


def inject(entry: "Entry", context: SpanContext) -> "Entry":
    """Write `context` into the parameters of a call that makes an object; return new ones."""
    if not isinstance(entry, dict):
        return entry
    metadata = entry.get("Metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        return entry
    names = {name.lower() for name in metadata if isinstance(name, str)}
    if has_context(names):
        return entry
    size = _size(metadata)
    found = choices(context)
    for fields in found:
        ours = {name: value for name, value in fields.items() if name not in names}
        if size + _size(ours) <= METADATA_BYTES:
            return {**entry, "Metadata": {**metadata, **ours}}
    if found:
        no_room()
    return entry


def extract_metadata(answer: Shape) -> SpanContext | None:
    """Read the metadata of an object that was got or looked at; names come back in lower case from S3 itself."""
    metadata = answer.get("Metadata")
    return extract(metadata.header) if metadata.raw else None


def _size(metadata: "dict[Any, Any]") -> int:
    return sum(_PREFIX_BYTES + bytes_of(name) + bytes_of(value) for name, value in metadata.items())
