"""Reads the one form in which AWS writes moments."""

__all__ = ["nanoseconds"]


def nanoseconds(value: object) -> int:
    """Turn `2026-11-23T10:00:00.123Z` into nanoseconds since the epoch; 0 for anything else.

    By hand: `strptime` loads the calendar and the locale, for one fixed format.
    """
    if not isinstance(value, str) or not value.isascii() or len(value) < 20 or value[-1] != "Z":
        return 0
    whole, _, fraction = value[:-1].partition(".")
    parts = (whole[0:4], whole[5:7], whole[8:10], whole[11:13], whole[14:16], whole[17:19])
    if not all(part.isdigit() for part in parts) or len(whole) != 19 or (fraction and not fraction.isdigit()):
        return 0
    year, month, day, hour, minute, second = map(int, parts)
    seconds = _days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
    return max(0, seconds * 10**9 + int((fraction + "0" * 9)[:9]))


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the Gregorian calendar, the year taken to begin in March."""
    year, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719_468
