"""A front before an emulated AWS that refuses what AWS refuses and passes on what AWS passes on.

Emulators are lax where it hurts: they take a message with eleven attributes, do not count attributes in its size, and
forget trace headers. A client that speaks with `StrictFront(emulator).url` gets what AWS documents instead; everything
that no rule here is about goes through to the byte. Each module says which page of AWS's documentation a rule is from.
No rule is here that AWS does not document.
"""

from .front import StrictFront

__all__ = ["StrictFront"]
