"""Headers that refer to secrets, which are looked up when they are needed."""

from collections.abc import Callable

from hoptrace_collector.export.headers import Headers, Pairs, Unknown

__all__ = ["LookedUpHeaders"]


class LookedUpHeaders(Headers):
    """Headers of which some refer to secrets; `resolve(value, deadline, anew)` gives what a value stands for.

    It raises an exception whose text says what to do; `say(cause, line)` tells the user, once.
    """

    def __init__(
        self, pairs: Pairs, resolve: Callable[[str, float, bool], str], say: Callable[[str, str], None]
    ) -> None:
        super().__init__(pairs)
        self._resolve = resolve
        self._say = say
        self._last: list[tuple[str, str]] = []

    def get(self, deadline: float) -> list[tuple[str, str]]:
        """Return them with the secrets in them."""
        self._last = self._look_up(deadline, anew=False)
        return self._last

    def renew(self, deadline: float) -> bool:
        """Look up again: a secret that was rotated is another one."""
        before = self._last
        try:
            self._last = self._look_up(deadline, anew=True)
        except Unknown:
            return False
        return self._last != before

    def _look_up(self, deadline: float, *, anew: bool) -> list[tuple[str, str]]:
        out = []
        for name, value in self._pairs:
            try:
                out.append((name, self._resolve(value.reveal(), deadline, anew)))
            except Exception as error:
                self._say(f"header {name}", f"the header {name} is not known yet: {error}. Until then nothing is sent")
                raise Unknown(f"its header {name} could not be looked up") from None
        return out
