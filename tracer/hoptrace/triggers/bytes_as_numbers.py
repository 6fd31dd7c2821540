"""Header values as Java writes bytes into JSON: arrays of numbers from -128 to 127."""

from hoptrace.shape import Shape, as_number

# The longest value that anybody has to pass on, of baggage.
_LONGEST = 8_192


def text_of_bytes(value: Shape | None) -> str:
    """Return the ASCII text that such an array spells, "" for anything else; text is taken as it is."""
    if value is None:
        return ""
    if value.text():
        return value.text()
    members = value.items()
    if not 0 < len(members) <= _LONGEST:
        return ""
    numbers = [as_number(member.raw) for member in members]
    if not all(type(number) is int and -128 <= number <= 127 for number in numbers):
        return ""
    return bytes(int(number or 0) & 0xFF for number in numbers).decode("ascii", "replace")
