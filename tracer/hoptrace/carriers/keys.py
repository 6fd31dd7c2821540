"""An item's key in DynamoDB as words that whoever writes it and whoever reads the stream spell alike.

A name has its backslashes and line feeds escaped (as two backslashes, as a backslash and `n`). A value is one letter
for its type, a colon, and one spelling of many: a string escaped like a name; a number as its digits without zeros on
either side, `e`, and the power of ten (`-1.50` is `-15e-1`, zero is `0`); binary in base64. Calls have typed values
(`{"S": "a"}`) or, from boto3's resources, Python's own; events have typed values with binary in base64 already.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A key is a partition key and maybe a sort key.
_MOST_NAMES = 2
# DynamoDB has 38 digits, and powers of ten up to 126.
_LONGEST_NUMBER = 200


def words(table: str, key: "Any", in_event: bool = False) -> tuple[str, ...] | None:
    """Return the pointer's words for an item of `table`, None when `key` is no key that DynamoDB could have."""
    if not table or not isinstance(key, dict) or not 1 <= len(key) <= _MOST_NAMES:
        return None
    if not all(isinstance(name, str) for name in key):
        return None
    found = ["aws.dynamodb", table]
    for name in sorted(key):
        value = canonical(key[name], in_event)
        if value is None:
            return None
        found += (_escaped(name), value)
    return tuple(found)


def canonical(value: "Any", in_event: bool = False) -> str | None:
    """Return the one spelling of a key's value, None for what cannot be one."""
    if isinstance(value, dict):
        if len(value) != 1:
            return None
        ((kind, value),) = value.items()
        if kind == "S":
            return _string(value) if isinstance(value, str) else None
        if kind == "N":
            return _number(value) if isinstance(value, str) else None
        return _binary(value, in_event) if kind == "B" else None
    if isinstance(value, str):
        return _string(value)
    kind = type(value)
    if kind is int or kind.__name__ == "Decimal":
        return _number(str(value))
    # boto3 has a class of its own for binary, which holds bytes.
    return _binary(value.value if kind.__name__ == "Binary" else value, False)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _string(text: str) -> str:
    return "S:" + _escaped(text)


def _number(text: str) -> str | None:
    if not 0 < len(text) <= _LONGEST_NUMBER or not text.isascii():
        return None
    mantissa, _, power = text.lower().partition("e")
    sign = "-" if mantissa[:1] == "-" else ""
    whole, _, fraction = mantissa[1:].partition(".") if mantissa[:1] in ("-", "+") else mantissa.partition(".")
    digits, exponent = whole + fraction, power[1:] if power[:1] in ("-", "+") else power
    if not digits.isdigit() or (exponent and not exponent.isdigit()) or ("e" in text.lower() and not exponent):
        return None
    tens = (-int(exponent) if power[:1] == "-" else int(exponent or "0")) - len(fraction)
    digits = digits.lstrip("0")
    short = digits.rstrip("0")
    return f"N:{sign}{short}e{tens + len(digits) - len(short)}" if short else "N:0"


def _binary(value: "Any", in_event: bool) -> str | None:
    if isinstance(value, str):
        # Whoever calls with text has it sent as bytes; an event has bytes as text.
        if in_event:
            return "B:" + value
        value = value.encode("utf-8", "surrogatepass")
    if not isinstance(value, (bytes, bytearray)):
        return None
    import binascii

    return "B:" + binascii.b2a_base64(value, newline=False).decode("ascii")
