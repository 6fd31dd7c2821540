"""Writes a value as JSON within limits of bytes, depth and count, without its secrets.

It stops where the limit is reached, so never more than that is held, and what it has written is whole JSON all the
same.
Nothing of the user's is run and nothing is consumed: objects, arrays, texts and numbers are read by the built-in types'
own methods, of everything else only the type's name is told.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from json.encoder import encode_basestring
from typing import Any

from .inside import decoded, document, is_packed, readable
from .paths import Where, step
from .redaction import QUERIES, REDACTED, Redaction, flat

MARGIN = 512
"""Characters beyond the limit that are looked at, so that a secret is not told by half."""

_ELLIPSIS = "…"
_NAMING = frozenset(("name", "key", "id", "field", "header", "attributename", "parameterkey", "parametername"))
_LONGEST_NAME = 256
_LONGEST_INT = 1024  # bits: what is longer takes quadratic time to spell
_OPAQUE = 128  # characters from which base64 that is no text is told by its length
_type_name = type.__dict__["__name__"].__get__


class Writer:
    """One text.

    Attributes:
        truncated: whether there was more.
        redacted: whether a secret was taken out.
    """

    __slots__ = (
        "_count",
        "_depth",
        "_full",
        "_omit",
        "_pieces",
        "_rules",
        "_room",
        "_where",
        "_work",
        "redacted",
        "truncated",
    )

    def __init__(
        self,
        rules: Redaction,
        room: int,
        depth: int,
        count: int,
        *,
        omit: frozenset[str] = frozenset(),
        work: int = -1,
        secret: Where = (),
    ) -> None:
        self._rules = rules
        self._room = room
        self._depth = depth
        self._count = count
        self._where = (*rules.where, *secret)  # `secret`: further paths that are not told
        self._omit = omit  # members of the outermost object that are left out
        self._work = 16 * (room + MARGIN) if work < 0 else work  # characters of texts that are looked at, at most
        self._pieces: list[str] = []
        self._full = False
        self.truncated = False
        self.redacted = False

    def document(self, value: object) -> str:
        """The text for a value; a text's own is that text."""
        kind = type(value)
        if issubclass(kind, (str, bytes, bytearray)):
            text = self._looked_at(value, 0, self._where, wide=False)
            return self._cut(text, self._room, plain=True)
        if self._room < 2:
            self.truncated = True
            return ""
        self._value(value, 0, self._where, wide=False)
        return "".join(self._pieces)

    # -- one value -------------------------------------------------------------------------------------------------

    def _value(self, value: Any, depth: int, where: Where, *, wide: bool) -> None:
        """Write it; there is room for two bytes at least."""
        kind = type(value)
        if issubclass(kind, (str, bytes, bytearray)):
            self._quoted(self._looked_at(value, depth, where, wide=wide))
        elif issubclass(kind, dict):
            self._object(value, depth, where, wide=wide)
        elif issubclass(kind, (list, tuple)):
            self._array(value, depth, where, wide=wide)
        else:
            self._scalar(value, kind)

    def _scalar(self, value: Any, kind: type) -> None:
        if value is None or kind is bool:
            self._bare({None: "null", True: "true", False: "false"}[value])
        elif issubclass(kind, int):
            if int.bit_length(value) >= _LONGEST_INT:
                self._quoted("<int>")
            else:
                digits = int.__repr__(value)
                self._secret() if self._rules.number(digits.lstrip("-")) else self._bare(digits)
        elif issubclass(kind, float):
            text = float.__repr__(value)
            if text.lstrip("-")[0].isalpha():
                self._quoted(text)
            else:
                told, hidden = self._rules.clean(text)
                self._secret() if hidden else self._bare(told)
        else:
            self._quoted(_foreign(value, kind))

    def _object(self, value: Any, depth: int, where: Where, *, wide: bool) -> None:
        size = dict.__len__(value)
        if depth >= self._depth and size:
            self._too_deep()
            return
        self._open("{", 2)
        naming = self._names_a_secret(value) if 1 < size <= 8 else False
        left, comma = self._count, ""
        for key, member in self._pairs(value):
            if depth == 0 and type(key) is str and key in self._omit:
                continue
            if not left:
                self.truncated = True
                break
            left -= 1
            name = self._name(key)
            shown = encode_basestring(self._rules.clean(name)[0])
            if not self._put(comma + shown + ":", 2):
                break
            comma = ","
            below = step(where, name) if where else where
            flattened = flat(name)
            hidden = self._rules.hides(name, wide=wide) and not _is_count(flattened, member)
            if below is None or hidden or (naming and flattened not in _NAMING):
                self._secret(member)
            else:
                self._value(member, depth + 1, below, wide=wide or flattened in QUERIES)
            if self._full:
                break
        self._pieces.append("}")

    def _array(self, value: Any, depth: int, where: Where, *, wide: bool) -> None:
        is_list = issubclass(type(value), list)
        if depth >= self._depth and (list if is_list else tuple).__len__(value):
            self._too_deep()
            return
        self._open("[", 2)
        comma, naming, place = "", False, -1
        for member in list.__iter__(value) if is_list else tuple.__iter__(value):
            place += 1
            if place >= self._count:
                self.truncated = True
                break
            if not self._put(comma, 2):
                break
            comma = ","
            below = step(where, place) if where else where
            if below is None or naming:
                self._secret(member)
                naming = False
            else:
                self._value(member, depth + 1, below, wide=wide)
                naming = self._is_a_secrets_name(member, wide=wide)
            if self._full:
                break
        self._pieces.append("]")

    def _pairs(self, value: Any) -> Iterator[tuple[Any, Any]]:
        """An object's members; one that another thread changes meanwhile ends there."""
        members = iter(dict.items(value))
        while True:
            try:
                yield next(members)
            except StopIteration:
                return
            except RuntimeError:
                self.truncated = True
                return

    def _name(self, key: Any) -> str:
        kind = type(key)
        if issubclass(kind, str):
            if str.__len__(key) > _LONGEST_NAME:
                self.truncated = True
            return str.__getitem__(key, slice(0, _LONGEST_NAME))
        if kind is bytes:
            return key[:_LONGEST_NAME].decode("latin-1")  # type: ignore[no-any-return]
        if key is None or kind is bool or (kind is int and int.bit_length(key) < 64) or kind is float:
            return repr(key)
        return f"<{_type_name(kind)[:64]}>"

    # -- secrets that a name elsewhere gives away --------------------------------------------------------------------

    def _names_a_secret(self, value: Any) -> bool:
        """Whether it is `{"name": "password", "value": …}`."""
        for key, member in islice(self._pairs(value), 8):
            if type(key) is str and flat(key[:40]) in _NAMING and self._is_a_secrets_name(member, wide=False):
                return True
        return False

    def _is_a_secrets_name(self, value: Any, *, wide: bool) -> bool:
        """Whether it is such a name itself, as in `["Authorization", …]` or `["--password", …]`."""
        if type(value) is bytes:
            value = value[:80].decode("latin-1")
        if type(value) is not str or len(value) > 64 or any(map(str.isspace, value)):
            return False
        return self._rules.hides(value, wide=wide)

    # -- texts -----------------------------------------------------------------------------------------------------

    def _looked_at(self, value: Any, depth: int, where: Where, *, wide: bool) -> str:
        """A text, or bytes, as far as there is room, without its secrets."""
        most = self._room
        kind = type(value)
        if issubclass(kind, str):
            size = str.__len__(value)
            look = str.__getitem__(value, slice(0, most + MARGIN))
        else:
            base = bytes if issubclass(kind, bytes) else bytearray
            size = base.__len__(value)
            data = bytes(base.__getitem__(value, slice(0, most + MARGIN)))
            look = readable(data, cut=size > len(data))
            if not look and size:
                return f"<binary, {size} bytes>"
        cut = size > most + MARGIN
        self.truncated = self.truncated or cut
        self._work -= len(look)
        if self._work < 0:
            self._full = self.truncated = True
            return _ELLIPSIS
        return self._without_secrets(look, size, depth, where, cut=cut, wide=wide)

    def _without_secrets(self, look: str, size: int, depth: int, where: Where, *, cut: bool, wide: bool) -> str:
        inner = self._document_in(look, depth, where, cut=cut, wide=wide)
        if inner is not None:
            return inner
        bare = decoded(look, cut=cut)
        if isinstance(bare, str):
            inner = self._document_in(bare, depth, where, cut=cut, wide=wide)
            return "base64:" + (self._cleaned(bare, cut=cut, wide=wide) if inner is None else inner)
        if bare is not None and (size > _OPAQUE or is_packed(bare)):
            return f"<binary, {size} characters>"
        return self._cleaned(look, cut=cut, wide=wide)

    def _document_in(self, text: str, depth: int, where: Where, *, cut: bool, wide: bool) -> str | None:
        found = document(text, cut=cut)
        if found is None:
            return None
        inner = Writer(self._rules, max(2, self._room), max(0, self._depth - depth), self._count, work=self._work)
        if isinstance(found[0], str):
            inner._quoted(inner._without_secrets(found[0], len(found[0]), 1, where, cut=cut, wide=wide))
        else:
            inner._value(found[0], 0, where, wide=wide)
        self._work = inner._work
        self.redacted = self.redacted or inner.redacted
        self.truncated = self.truncated or inner.truncated or not found[1]
        # Never the text itself: of a name that it has twice only the last was read.
        return "".join(inner._pieces)

    def _cleaned(self, text: str, *, cut: bool, wide: bool) -> str:
        most = min(self._room, max(0, len(text) - MARGIN * 3 // 4)) if cut else -1
        told, hidden = self._rules.clean(text, most, wide=wide)
        self.redacted = self.redacted or hidden
        return told

    # -- writing ---------------------------------------------------------------------------------------------------

    def _put(self, text: str, then: int) -> bool:
        """Write it if there is room for it and for as many bytes more; else this was all."""
        size = _size(text)
        if size + then > self._room:
            self._full = self.truncated = True
            return False
        self._pieces.append(text)
        self._room -= size
        return True

    def _open(self, bracket: str, both: int) -> None:
        self._pieces.append(bracket)
        self._room -= both

    def _bare(self, text: str) -> None:
        if not self._put(text, 0):
            self._pieces.append('""')
            self._room -= 2

    def _quoted(self, text: str) -> None:
        told = self._cut(text, self._room, plain=False)
        self._pieces.append(told)
        self._room -= _size(told)

    def _secret(self, value: object = "…") -> None:
        """Write that something was here; where nothing was, that is told."""
        if value is None:
            self._bare("null")
            return
        self.redacted = True
        self._quoted(REDACTED)

    def _too_deep(self) -> None:
        self.truncated = True
        self._quoted(_ELLIPSIS)

    def _cut(self, text: str, room: int, *, plain: bool) -> str:
        """The text, in quotes unless it is plain, in so many bytes at most."""
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        quote = str if plain else encode_basestring
        told = quote(text[:room])
        if len(text) <= room and _size(told) <= room:
            return told
        self.truncated = True
        if not plain and room < 2 + len(_ELLIPSIS.encode()):
            return '""'
        low, high = 0, min(len(text), room)
        while low < high:
            middle = (low + high + 1) // 2
            if _size(quote(text[:middle] + _ELLIPSIS)) <= room:
                low = middle
            else:
                high = middle - 1
        told = quote(text[:low] + _ELLIPSIS)
        return told if _size(told) <= room else ""


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _is_count(name: str, value: object) -> bool:
    """`max_tokens: 100` counts tokens and is none."""
    return type(value) in (int, float, bool) and name.endswith(("tokens", "tokencount"))


def _foreign(value: Any, kind: type) -> str:
    """A value that JSON has no word for: what it says where its type is Python's own, else its type's name."""
    for module, name, read in _READERS:
        own = getattr(sys.modules.get(module), name, None)
        if own is kind:
            return read(kind, value)
    return f"<{_type_name(kind)[:80]}>"


def _moment(kind: Any, value: Any) -> str:
    # A time zone is an object of somebody's, and asked for nothing.
    return kind.replace(value, tzinfo=None).isoformat()  # type: ignore[no-any-return]


_READERS = (
    ("datetime", "datetime", _moment),
    ("datetime", "date", lambda kind, value: kind.isoformat(value)),
    ("decimal", "Decimal", lambda kind, value: kind.__str__(value)),
    ("uuid", "UUID", lambda kind, value: kind.__str__(value)),
)
