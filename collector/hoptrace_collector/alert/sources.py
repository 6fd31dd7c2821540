"""Where rules are written, and how a text becomes tables of them.

hoptrace.rules.toml, hoptrace.rules.json     in the function's package
HOPTRACE_RULES                               a path; the rules themselves; or a reference to them:
    ssm:/orders/rules, arn:aws:ssm:…         a parameter of SSM's Parameter Store
    s3://bucket/key                          an object
    appconfig:application/environment/profile    by AppConfig's Lambda extension
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["FILES", "Tables", "is_reference", "of_text", "read_package", "read_setting"]

FILES = ("hoptrace.rules.toml", "hoptrace.rules.json")
LONGEST = 256 * 1024
_REFERENCES = ("ssm:/", "arn:", "s3://", "appconfig:")


class Tables(NamedTuple):
    """The rules of a text by their names, and what could not be read of it."""

    rules: dict[str, Any]
    complaints: list[str]


def is_reference(value: str) -> bool:
    """Whether a setting says where its rules are instead of what they are."""
    return value.startswith(_REFERENCES)


def read_package(folder: str, read: Callable[[str], str]) -> Tables:
    """Read the file in the function's package, if there is one; `read` raises OSError for what is not there."""
    for name in FILES:
        path = f"{folder}/{name}"
        try:
            text = read(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            return Tables({}, [f"{path} cannot be read ({type(error).__name__}: {error})"])
        return of_text(text, path)
    return Tables({}, [])


def read_setting(value: str, read: Callable[[str], str]) -> Tables:
    """Read what HOPTRACE_RULES says, unless that is a reference."""
    if not value or is_reference(value):
        return Tables({}, [])
    if value.startswith("{") or "\n" in value or "=" in value:
        return of_text(value, "HOPTRACE_RULES")
    try:
        return of_text(read(value), value)
    except (OSError, ValueError) as error:
        return Tables({}, [f"HOPTRACE_RULES: {value[:200]} cannot be read ({type(error).__name__}: {error})"])


def of_text(text: str, name: str) -> Tables:
    """Read TOML, or JSON where it begins with a brace; `name` is what complaints call it."""
    if len(text) > LONGEST:
        return Tables({}, [f"{name} has more than {LONGEST} characters; none of its rules are read"])
    if text.lstrip().startswith("{"):
        return _of_json(text, name)
    return _of_toml(text, name)


def _of_json(text: str, name: str) -> Tables:
    try:
        return _checked(json.loads(text), name)
    except (ValueError, RecursionError) as error:
        return Tables({}, [f"{name} is no JSON ({error}); none of its rules are read"])


def _of_toml(text: str, name: str) -> Tables:
    # Only for who has rules: it takes some milliseconds.
    from tomllib import loads

    try:
        return _checked(loads(text), name)
    except (ValueError, RecursionError) as error:
        whole = Tables({}, [f"{name} is no TOML ({error})"])
    # One rule that cannot be read is to be off, and no other: each is read by itself.
    rules: dict[str, Any] = {}
    complaints: list[str] = []
    for line, piece in _pieces(text):
        try:
            found = _checked(loads("\n" * line + piece + "\n"), name)
        except (ValueError, RecursionError) as error:
            complaints.append(f"{name} is no TOML ({error}); the rule that stands there is off")
            continue
        twice = next((key for key in found.rules if key in rules), "")
        if twice:
            complaints.append(f"{name} has the rule {twice} twice; the first counts")
        rules = {**found.rules, **rules}
        complaints += found.complaints
    return Tables(rules, complaints) if complaints else whole


def _pieces(text: str) -> list[tuple[int, str]]:
    """Cut a text where tables begin: the line from which each piece is, and the piece."""
    pieces: list[tuple[int, list[str]]] = [(0, [])]
    for number, line in enumerate(text.split("\n")):
        if line.lstrip().startswith("[rules."):
            pieces.append((number, []))
        pieces[-1][1].append(line)
    return [(number, "\n".join(lines)) for number, lines in pieces]


def _checked(value: Any, name: str) -> Tables:
    if not isinstance(value, dict):
        return Tables({}, [f'{name} is to hold rules by their names: [rules.NAME], or {{"rules": {{…}}}} in JSON'])
    complaints = [
        f"{name} has {str(key)[:100]!r} beside rules: a rule is written [rules.NAME]" for key in value if key != "rules"
    ]
    rules = value.get("rules", {})
    if not isinstance(rules, dict):
        return Tables({}, [*complaints, f"{name}: rules is to hold a table for each rule: [rules.NAME]"])
    return Tables(rules, complaints)
