"""Tells who may send: by a bearer token (RFC 6750), out of a file, so that none stands in `ps` or an environment.

One token a line; several, so that one can be exchanged for another without a moment in which neither is taken. What is
compared are digests, all of them, so that the time it takes tells nothing.
"""

import hashlib
import hmac

from hoptrace_collector.gateway.settings import Unusable

__all__ = ["Tokens", "read_tokens"]

_SHORTEST = 16


class Tokens:
    """The tokens that are taken; none at all lets everybody in."""

    def __init__(self, tokens: list[bytes]) -> None:
        self._digests = [hashlib.sha256(token).digest() for token in tokens]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def allow(self, authorization: str) -> bool:
        """Tell whether the header's value has one of the tokens."""
        if not self._digests:
            return True
        scheme, _, given = authorization.strip().partition(" ")
        digest = hashlib.sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
        known = False
        for each in self._digests:
            known |= hmac.compare_digest(each, digest)
        return known and scheme.lower() == "bearer"


def read_tokens(path: str) -> Tokens:
    """Read a file of tokens; empty lines and those that begin with `#` are none. Raises Unusable."""
    if not path:
        return Tokens([])
    try:
        with open(path, "rb") as file:
            lines = [line.strip() for line in file.read(1024 * 1024).splitlines()]
    except OSError as error:
        raise Unusable(f"the tokens cannot be read from {path} ({error.strerror})") from None
    tokens = [line for line in lines if line and not line.startswith(b"#")]
    if not tokens:
        raise Unusable(f"there is no token in {path}: write one a line, such as `openssl rand -hex 32` makes")
    if any(len(token) < _SHORTEST or not token.isascii() or b" " in token for token in tokens):
        raise Unusable(f"a token in {path} is shorter than {_SHORTEST} characters, or has spaces or other than ASCII")
    return Tokens(tokens)
