"""Plain iteration over `event["Records"]`, followed: opt-in, since it changes what the user's event is made of.

The list is replaced by one that is a list in every respect but one: a loop over it makes each record's span current.
Copies and pickles of it are plain lists.
"""

from __future__ import annotations

import sys

from .following import Records

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


_ONLY_LOOK = frozenset(("asyncio", "concurrent", "copy", "json", "logging", "multiprocessing", "pickle", "pprint"))
"""Packages whose loops print, copy or hand out records and process none."""
_FOLLOWED_ELSEWHERE = "aws_lambda_powertools"


class WatchedList(list):  # type: ignore[type-arg]
    """A list of records."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        plain = list.__iter__(self)
        package = str(sys._getframe(1).f_globals.get("__name__", "")).partition(".")[0]
        return plain if package in _ONLY_LOOK or package == _FOLLOWED_ELSEWHERE else Records(plain)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (self[:],)


def watch(event: Any) -> None:
    """Replace the list of records in an event that is as `json.loads` made it; any other is left alone."""
    if type(event) is dict and type(event.get("Records")) is list:
        event["Records"] = WatchedList(event["Records"])
