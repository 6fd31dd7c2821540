"""What a record of a Kinesis stream holds: one line that says what, then the data, packed by gzip.

    hoptrace/1 traces

Both halves stand here. A record without the line is taken for a request of traces, packed or not, as others put them on
streams.
"""

import zlib

__all__ = ["CARRY", "pack", "unpack"]

_LINE = b"hoptrace/1 "
_KINDS = ("traces", "metrics", "logs", "carry")
CARRY = "carry"
_GZIP = b"\x1f\x8b"


def pack(kind: str, data: bytes) -> bytes:
    """Return a record's data; `kind` is a signal, or `carry`."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return _LINE + kind.encode() + b"\n" + packer.compress(data) + packer.flush()


def unpack(record: bytes, limit: int) -> tuple[str, bytes]:
    """Return kind and data of a record; raises ValueError. Unpacked it may have `limit` bytes."""
    kind = "traces"
    if record.startswith(_LINE):
        head, _, record = record.partition(b"\n")
        kind = head.removeprefix(_LINE).decode("ascii", "replace")
        if kind not in _KINDS:
            raise ValueError(f"a record of an unknown kind ({kind[:20]!r})")
    if not record.startswith(_GZIP):
        return kind, record
    unpacker = zlib.decompressobj(31)
    try:
        data = unpacker.decompress(record, limit + 1)
    except zlib.error as error:
        raise ValueError(f"no valid gzip: {error}") from None
    if len(data) > limit or not unpacker.eof:
        raise ValueError(f"gzip that ends in the middle, or of more than {limit} bytes")
    return kind, data
