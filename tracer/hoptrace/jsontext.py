"""Puts a member into a JSON object that is text, without changing another byte of it.

Parsing and writing anew would be simpler, and would change numbers, escapes, spaces and the order of doubled keys in
what the user sends.
"""

import json

_JSON_SPACE = " \t\r\n"


def set_member(text: str, key: str, value: str, mark: str) -> str | None:
    """Put `"key":value` into the JSON object that `text` spells, as text; None when that cannot be done safely.

    Appending before the last brace keeps a valid object valid and an invalid one invalid: the comma is accepted
    there exactly when the brace would be, and inside an unfinished string our first quotation mark ends it. An object
    that has the key already was received and is being sent on: its value is replaced, in its place, when that is an
    object with the member `mark`, so certainly one that was put in like this.
    """
    end = len(text.rstrip(_JSON_SPACE)) - 1
    start = len(text) - len(text.lstrip(_JSON_SPACE))
    if end <= start or text[start] != "{" or text[end] != "}":
        return None
    if f'"{key}"' in text:
        try:
            document = json.loads(text)
            if key in document:
                return _replace_member(text, key, value, document[key], mark)
        except (ValueError, RecursionError):
            return None
    comma = "," if text[start + 1 : end].strip(_JSON_SPACE) else ""
    return f'{text[:end]}{comma}"{key}":{value}{text[end:]}'


def _replace_member(text: str, key: str, value: str, old: object, mark: str) -> str | None:
    """Replace what is certainly our own earlier value, and certainly the member that was found; else None."""
    before, _, after = text.partition(f'"{key}"')
    if not isinstance(old, dict) or mark not in old or f'"{key}"' in after:
        return None
    colon = len(after) - len(after.lstrip(_JSON_SPACE))
    start = colon + 1 + len(after[colon + 1 :]) - len(after[colon + 1 :].lstrip(_JSON_SPACE))
    found, end = json.JSONDecoder().raw_decode(after, start)
    return f'{before}"{key}"{after[:start]}{value}{after[end:]}' if found == old else None
