"""Where two spans can meet that no context could travel between: ids that both ends derive from what AWS tells both.

S3 gives the writer of an object a request id and puts it into the notification; DynamoDB's stream has the keys that the
writer used; queues, topics, buses and streams number their messages. Each end links to the span context that the same
words derive, so any backend that can look for a link joins them. `docs/propagation.md` has the words for each service.
"""

from .spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    Words = tuple[str, ...]

POINTER = "hoptrace.pointer"
"""The attribute of such a link: the first word, which says what kind of thing both ends know."""


def derive(words: "Words") -> SpanContext:
    """Return the context that `words` stand for: SHA-256 of them, joined by line feeds, in UTF-8.

    Its first 16 bytes are the trace id, the next 8 the span id.
    """
    import hashlib  # seldom needed, and never in a cold start without such a trigger

    digest = hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()
    return SpanContext(digest[:32], digest[32:48], remote=True)
