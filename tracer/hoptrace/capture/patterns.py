"""What looks like a secret wherever it stands: each pattern finds the pieces of a text that must not be told.

Every expression takes time in proportion to the text: no repetition is nested in another, and those that something else
must follow are bounded. A needle, which costs next to nothing, says whether an expression is worth its time.
"""

import re
from collections.abc import Callable

from ..settings import SECRET_WORDS, URL_WORDS

Piece = tuple[int, int]
"""Where it begins and ends."""

WHOLE_NAMES = frozenset(("auth", "otp", "pass", "pin", "pw", "ssn"))
"""Names that are a secret's as a whole, while they are a part of too many others."""

_VALUE = re.compile(
    r"(?:[\w.\-\[\]\\\"'()]|%[0-9a-f]{2}){0,40}?\s{0,4}(?:[:=]|%3[ad])\s{0,4}"
    r"(\"(?:[^\"\\]|\\[\s\S])*(?:\"|\\?\Z)|'(?:[^'\\]|\\[\s\S])*(?:'|\\?\Z)"
    r"|(?P<quote>\\+[\"'])[\s\S]*?(?:(?<!\\)(?P=quote)|\Z)|[\[{][\s\S]*|[^\s,;&\"'<>]+)",
    re.IGNORECASE,
)
_LINE = re.compile(r"[\"'\\]{0,3}\s{0,4}[:=]\s{0,4}(?![\s\"'\\\[{])([^\r\n\"']+)")
_TAG = re.compile(r"[^<>]{0,200}>([^<]+)")
_FIELD = re.compile(r"[^\"\r\n]{0,80}\"[\s\S]{0,400}?\r?\n\r?\n([\s\S]+?)(?=\r?\n--|\Z)")
_HEADERS = ("authorization", "cookie")


_PREFIXES = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_", "k_test_", "aiza")
_MORE_PREFIXES = ("ya29.", "sk-", "sg.", "npm_", "whsec_")


class Pattern:
    """One expression; `group` is what is taken out of a match, `check` has the last word on it."""

    __slots__ = ("_check", "_expression", "_group", "_needles")

    def __init__(
        self, needles: tuple[str, ...], expression: str, group: int = 0, check: Callable[[str], bool] | None = None
    ) -> None:
        self._needles = needles
        self._expression = re.compile(expression, re.IGNORECASE)
        self._group = group
        self._check = check

    def find(self, text: str, lowered: str) -> list[Piece]:
        """The pieces; `lowered` is the text in lower case."""
        if self._needles and not any(needle in lowered for needle in self._needles):
            return []
        group, check = self._group, self._check
        found = self._expression.finditer(text)
        return [one.span(group) for one in found if check is None or check(one.group(group))]


def known() -> list[Pattern]:
    """What is known to be a secret by its looks."""
    return [
        Pattern(("eyj",), r"(?-i:eyJ)[\w-]{6,}(?:\.[\w-]*){0,4}"),
        Pattern(("bearer", "basic", "digest", "negotiate"), _scheme(), 1),
        Pattern(("akia", "asia", "abia", "acca"), r"(?-i:A(?:KI|SI|BI|CC)A[A-Z0-9]{16,})"),
        Pattern((), r"(?<![a-z0-9/+])[a-z0-9/+]{40}(?![a-z0-9/+=])", 0, _is_mixed),
        Pattern(("fwogzxivyxdz", "iqojb3jpz2lu"), r"(?-i:FwoGZXIvYXdz|IQoJb3JpZ2lu)[\w/+=]{16,}"),
        Pattern(("-----begin",), _private_key()),
        Pattern(
            ("://",),
            r"://([^\s/:@\"'<>?#]{0,256}:(?!\d{1,5}(?:[/?#\s]|\Z))[^\s\"'<>]{1,512}|[^\s/:@\"'<>?#]{6,256})@",
            1,
        ),
        Pattern(
            (*_PREFIXES, *_MORE_PREFIXES),
            r"gh[pousr]_[a-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|[spr]k_(?:live|test)_\w{8,}"
            r"|(?-i:AIza)[\w-]{30,}|ya29\.[\w-]{10,}|sk-[\w-]{20,}|(?-i:SG)\.[\w-]{16,}\.[\w-]{16,}|npm_\w{30,}|whsec_\w{16,}",
        ),
        Pattern(("hooks.slack.com/",), r"hooks\.slack\.com/services/([\w/]+)", 1),
        Pattern(("?", "&"), rf"[?&]{_query_pair()}", 1),
    ]


def query() -> Pattern:
    """For a text that is a query: there its first pair has no question mark before it."""
    return Pattern((), rf"(?:^|[?&;]){_query_pair()}", 1)


def emails() -> Pattern:
    """Addresses of e-mail."""
    return Pattern(("@",), r"[\w.%+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}")


class Assignments:
    """What a text says under a secret's name: `password=…`, `"token": "…"`, `<Secret>…</Secret>`, a form's field.

    Args:
        words: as `hoptrace.settings.SECRET_WORDS`.
        kept: names that are no secrets'.
    """

    __slots__ = ("_kept", "_words")

    def __init__(self, words: tuple[str, ...], kept: Callable[[str], bool]) -> None:
        self._kept = kept
        names = [(word, r"[-_.\s]?".join(map(re.escape, word.split(" ")))) for word in words]
        names.extend((name, rf"(?:(?<![a-z0-9])|(?<=%[0-9a-f][0-9a-f])){name}(?![a-z0-9])") for name in WHOLE_NAMES)
        # An ARN has the word too, as one of AWS's own.
        rules = {"secret": r"(?<!\d:)secret(?!smanager)"}
        self._words = [
            (word.partition(" ")[0], re.compile(rules.get(word, name), re.IGNORECASE), word in _HEADERS)
            for word, name in names
        ]

    def find(self, text: str, lowered: str) -> list[Piece]:
        """The pieces of all values."""
        found: list[Piece] = []
        form = 'name="' in lowered
        for needle, rule, header in self._words:
            at, end, within = lowered.find(needle), 0, 0
            while at >= 0:
                # A name within a value: that one's quote may be the end of what was never closed, and so on.
                within += at < end
                if within > _MOST_WITHIN:
                    found.append((at, len(text)))
                    break
                word = rule.match(text, at)
                value = None if word is None else self._value(text, at, word.end(), header, form)
                if value is not None:
                    end = value.end(1)
                    found.append(_inner(text, *value.span(1)))
                at = lowered.find(needle, at + len(needle))
        return found

    def _value(self, text: str, at: int, end: int, header: bool, form: bool) -> re.Match[str] | None:
        name = _NAME_BEFORE.search(text, max(0, at - 40), at)
        after = _NAME_AFTER.match(text, end)
        if self._kept((name.group() if name else "") + text[at:end] + (after.group() if after else "")):
            return None
        before = text[max(0, at - 90) : at].lower()
        if form and 'name="' in before:
            field = _FIELD.match(text, end)
            if field is not None:
                return field
        if "<" in before[-40:]:
            tag = _TAG.match(text, end)
            if tag is not None:
                return tag
        return (_LINE.match(text, end) if header else None) or _VALUE.match(text, end)


_MOST_WITHIN = 64
_NAME_BEFORE = re.compile(r"[\w-]{1,40}\Z")
_NAME_AFTER = re.compile(r"[\w-]{1,40}")


def cards(text: str) -> list[Piece]:
    """Numbers of payment cards: by their issuers' first digits, their length and Luhn's check digit."""
    found: list[Piece] = []
    for run in _DIGITS.finditer(text):
        groups = [one.span() for one in _GROUP.finditer(text, *run.span())]
        for first, (start, _) in enumerate(groups):
            number = ""
            for begin, end in groups[first : first + 19]:
                number += text[begin:end]
                if len(number) > 19:
                    break
                if is_card(number):
                    found.append((start, end))
    return found


def is_card(digits: str) -> bool:
    """Whether these digits can be a card's number."""
    lengths = next((lengths for start, lengths in _ISSUERS if digits.startswith(start)), ())
    if len(digits) not in lengths or not digits.isascii():
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12,}")
_GROUP = re.compile(r"[0-9]+")
_LONG = tuple(range(16, 20))
_ISSUERS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("4",), (13, 16, 19)),
    (("51", "52", "53", "54", "55"), (16,)),
    (("222", "223", "224", "225", "226", "227", "228", "229", "23", "24", "25", "26", "270", "271", "2720"), (16,)),
    (("34", "37"), (15,)),
    (("30", "36", "38", "39"), (14, 16, 17, 18, 19)),
    (("35",), _LONG),
    (("50", "56", "57", "58", "6"), _LONG),
)


def _inner(text: str, start: int, end: int) -> Piece:
    """A value without the quotes around it."""
    if text[start] in "\"'":
        closed = end - start > 1 and text[end - 1] == text[start]
        return start + 1, end - closed
    return start, end


def _is_mixed(text: str) -> bool:
    """Whether it is a random text rather than a hash or a word: AWS's secret keys have all three kinds of character."""
    return any(map(str.isupper, text)) and any(map(str.islower, text)) and any(map(str.isdigit, text))


def _scheme() -> str:
    return r"(?:bearer|basic|digest|negotiate)(?:\s|%20|\+){1,4}([\w+/=.~:%-]{4,})"


def _private_key() -> str:
    name = r"[a-z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    return rf"-----BEGIN {name}[\s\S]*?(?:-----END {name}|\Z)"


def _query_pair() -> str:
    words = "|".join((*URL_WORDS, *(word.replace(" ", "[-_.]?") for word in SECRET_WORDS)))
    return rf"[\w%.\-\[\]]{{0,40}}?(?:{words})[\w%.\-\[\]]{{0,40}}=([^&\s\"'<>#]+)"
