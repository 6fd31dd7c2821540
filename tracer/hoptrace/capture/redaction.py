"""Takes secrets out of what is recorded: by the names that they stand under, by their looks, by their place.

What is known to be a secret is one unless a setting says otherwise; the user's own words, paths and patterns come on
top.
"""

from ..settings import SECRET_WORDS, URL_WORDS, Settings, settings
from .paths import Where, parsed
from .patterns import WHOLE_NAMES, Assignments, Piece, cards, emails, is_card, known, query
from .users_patterns import Own

REDACTED = "REDACTED"

QUERIES = frozenset(("querystringparameters", "multivaluequerystringparameters", "querystring", "rawquerystring"))
"""Under these names (flattened) the parameters of a URL stand."""

_LEAST = 4  # characters of the shortest text that a pattern could find something in
_MOST_NAMES = 2048
_FLAT = {ord(character): None for character in " -_.:$#@/"}


class Redaction:
    """What the settings say of secrets."""

    __slots__ = ("_assignments", "_emails", "_kept", "_known", "_names", "_own", "_query", "_wide", "_words", "where")

    def __init__(self, knobs: Settings) -> None:
        own = tuple(word for word in knobs.listed("HOPTRACE_REDACT_KEYS"))
        words = SECRET_WORDS + own
        self._kept = frozenset(flat(name) for name in knobs.listed("HOPTRACE_REDACT_KEEP"))
        self._words = tuple(flat(word) for word in words)
        self._wide = self._words + URL_WORDS
        self._names: dict[tuple[str, bool], bool] = {}
        self._assignments = Assignments(words, lambda name: flat(name) in self._kept)
        self._known = known()
        self._query = query()
        self._emails = emails() if knobs.environ.get("HOPTRACE_REDACT_EMAILS", "").strip().lower() == "true" else None
        self._own = Own(knobs.environ.get("HOPTRACE_REDACT_PATTERNS", "").split())
        paths = [part.strip() for part in knobs.environ.get("HOPTRACE_REDACT_PATHS", "").split(",")]
        self.where: Where = parsed([path for path in paths if path])

    def hides(self, name: str, *, wide: bool = False) -> bool:
        """Whether what stands under a name is a secret; `wide`: in a URL's query, where more words count."""
        key = (name, wide)
        found = self._names.get(key)
        if found is None:
            found = self._judge(flat(name[:512]), self._wide if wide else self._words)
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            self._names[key] = found
        return found

    def _judge(self, name: str, words: tuple[str, ...]) -> bool:
        if name in self._kept:
            return False
        return name in WHOLE_NAMES or any(word in name for word in words)

    def number(self, digits: str) -> bool:
        """Whether a whole number is a secret by its looks: a card's."""
        return is_card(digits)

    def clean(self, text: str, most: int = -1, *, wide: bool = False) -> tuple[str, bool]:
        """The text with `REDACTED` for each secret, and whether there was one.

        Args:
            most: how many of its characters are told; the rest is looked at all the same, so that no secret is told
                in part.
            wide: that it is a URL's query.
        """
        pieces = self._pieces(text, wide) if len(text) >= _LEAST else []
        end = len(text) if most < 0 else most
        if not pieces:
            return text[:end], False
        pieces.sort()
        told: list[str] = []
        at = 0
        for start, stop in pieces:
            if start >= end:
                break
            if stop <= at:
                continue
            if start >= at:
                told.append(text[at:start])
                told.append(REDACTED)
            at = stop
        told.append(text[at : max(at, end)])
        return "".join(told), at > 0

    def _pieces(self, text: str, wide: bool) -> list[Piece]:
        lowered = text.lower()
        if len(lowered) != len(text):  # a letter that is two in lower case
            lowered = text.translate(_LOWER)
        found = self._assignments.find(text, lowered)
        for pattern in self._known:
            found.extend(pattern.find(text, lowered))
        found.extend(cards(text))
        if wide:
            found.extend(self._query.find(text, lowered))
        if self._emails is not None:
            found.extend(self._emails.find(text, lowered))
        if self._own:
            found.extend(self._own.find(text))
        return [piece for piece in found if piece[0] < piece[1]]


_LOWER = {number: number + 32 for number in range(ord("A"), ord("Z") + 1)}


def flat(name: str) -> str:
    """A name without its separators, in lower case: `X-Api-Key`, `api_key` and `apiKey` have the same words."""
    return name.lower().translate(_FLAT)


_current: tuple[Settings, Redaction] | None = None


def redaction() -> Redaction:
    """What this process's settings say; made by the first that asks."""
    global _current
    knobs = settings()
    found = _current
    if found is None or found[0] is not knobs:
        found = _current = (knobs, Redaction(knobs))
    return found[1]
