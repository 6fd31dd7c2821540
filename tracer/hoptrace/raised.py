"""Which loop an exception came out of, told from frames: a `for` never tells the iterator that its body raised.

When a loop's body raises, Python drops the iterator while it leaves the loop's frame, and that frame still stands at
the instruction that raised. So does the exception's traceback, or the instruction raises again what was caught. After a
`break` or a `return` the frame stands at one that raises nothing, and a later exception of the same function comes from
elsewhere.

Frames are remembered by identity and code and are never held, since that would keep the user's objects alive.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    Place = tuple[int, CodeType, int]
    Stack = list[Place]

_DEEPEST = 64
_MOST_ERRORS = 64
_GENERATORS = 0x20 | 0x200
"""Flags of the code of generators, plain and asynchronous (`inspect.CO_GENERATOR`): frames that hand records on."""
_RAISES_AGAIN = ("RAISE_VARARGS", "RERAISE")


def place(depth: int) -> Place:
    """Where a loop goes on: the nearest frame that does not merely hand records on.

    Args:
        depth: of whoever asks the iterator, counted from here. A depth and no frame, because a function that gets a
            frame is what `guard` takes for a signal handler of the user's.
    """
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and frame.f_code.co_flags & _GENERATORS and frame.f_back is not None:
        frame = frame.f_back
    assert frame is not None
    return id(frame), frame.f_code, frame.f_lasti


def stack(depth: int) -> Stack:
    """Where each of the callers stands, the nearest first; `depth` as above."""
    frame: FrameType | None = sys._getframe(depth)
    found: Stack = []
    while frame is not None and len(found) < _DEEPEST:
        found.append((id(frame), frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return found


class Traceback:
    """The frames that an exception passed through, those of what caused it and of a group's members included."""

    __slots__ = ("_frames",)

    def __init__(self, error: BaseException) -> None:
        self._frames: dict[tuple[int, CodeType], set[int]] = {}
        waiting, seen = [error], {id(error)}
        for _ in range(_MOST_ERRORS):
            if not waiting:
                break
            each = waiting.pop(0)
            self._add(each.__traceback__)
            for other in (each.__cause__, each.__context__, *getattr(each, "exceptions", ())):
                if isinstance(other, BaseException) and id(other) not in seen:
                    seen.add(id(other))
                    waiting.append(other)

    def _add(self, tb: TracebackType | None) -> None:
        while tb is not None:
            self._frames.setdefault((id(tb.tb_frame), tb.tb_frame.f_code), set()).add(tb.tb_lasti)
            tb = tb.tb_next

    def passed(self, where: Place) -> bool:
        """Whether it came through the frame in which a loop is that has not been dropped."""
        return where[:2] in self._frames

    def dropped(self, callers: Stack) -> bool:
        """Whether it was on its way when a loop was dropped under these callers."""
        for identity, code, instruction in callers:
            raised_at = self._frames.get((identity, code))
            if raised_at is not None:
                return instruction in raised_at or _raises_again(code, instruction)
        return False


def _raises_again(code: CodeType, instruction: int) -> bool:
    from opcode import opname

    return opname[code.co_code[instruction]] in _RAISES_AGAIN
