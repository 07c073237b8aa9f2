"""What messages show of values that anybody may send: short, and never media."""

from typing import Any

SHOWN = 60
"""Characters of a value that a message shows."""


def shown(value: Any) -> str:
    """Short, whatever it is: a body may hold a value of a hundred megabytes, or media."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)[:SHOWN]
    if isinstance(value, str):
        return repr(value[:SHOWN]) + ("..." if len(value) > SHOWN else "")
    return kind(value)


def kind(value: Any) -> str:
    """What it is in JSON."""
    if isinstance(value, dict):
        return "an object" + ("" if "url" in value else " without `url`")
    return "a list" if isinstance(value, list) else {str: "a string", type(None): "null"}.get(type(value), "a number")
