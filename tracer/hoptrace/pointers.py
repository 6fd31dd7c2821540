"""Where two spans can meet that no context could travel between: ids that both ends derive from what AWS tells both.

S3 gives the writer of an object a request id and puts it into the notification; DynamoDB's stream has the keys that the
writer used; queues, topics, buses and streams number their messages. Each end links to the span context that the same
words derive, so any backend that can look for a link joins them. `docs/propagation.md` has the words for each service.
"""

from .spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Words = tuple[str, ...]

_found: "list[Callable[[bytes], Any]]" = []

POINTER = "hoptrace.pointer"
"""The attribute of such a link: the first word, which says what kind of thing both ends know."""


def derive(words: "Words") -> SpanContext:
    """Return the context that `words` stand for: SHA-256 of them, joined by line feeds, in UTF-8.

    Its first 16 bytes are the trace id, the next 8 the span id.
    """
    digest = _sha256("\n".join(words).encode("utf-8", "surrogatepass"))
    return SpanContext(digest[:32], digest[32:48], remote=True)


def _sha256(data: bytes) -> str:
    if not _found:
        _found.append(_implementation())
    digest: str = _found[0](data).hexdigest()
    return digest


def _implementation() -> "Callable[[bytes], Any]":
    """What `hashlib` itself falls back on; that loads OpenSSL, for which a cold start would wait milliseconds."""
    for module in ("_sha2", "_sha256"):  # since Python 3.12, and before
        try:
            return __import__(module).sha256  # type: ignore[no-any-return]
        except ImportError:
            continue
    import hashlib

    return hashlib.sha256
