"""values.yaml as a table: name, default, and the comment above it. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import yaml


class Value(NamedTuple):
    """One value of the chart.

    Attributes:
        name: Its path, such as `image.tag`.
        default: As values.yaml has it.
        text: The comment above it.
    """

    name: str
    default: Any
    text: str


def described(text: str) -> list[Value]:
    """All values that have a comment, in their order."""
    defaults = yaml.safe_load(text)
    found: list[Value] = []
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if note := re.fullmatch(r" *# (.*)", line):
            comment.append(note[1])
        elif key := re.match(r"( *)(\w+):", line):
            path = [each for each in path if each[0] < len(key[1])] + [(len(key[1]), key[2])]
            name = ".".join(each for _, each in path)
            if comment:
                found.append(Value(name, _at(defaults, name), " ".join(comment)))
            comment = []
        else:
            comment = []
    return found


def leaves(values: Mapping[str, Any], before: str = "") -> list[str]:
    """Paths of all values that have none below them."""
    return [
        path
        for key, value in values.items()
        for path in (leaves(value, f"{before}{key}.") if isinstance(value, dict) and value else [f"{before}{key}"])
    ]


def table(values: Iterable[Value]) -> str:
    """As docs/install.md has it."""
    head = ["| value | default | what it is |", "|---|---|---|"]
    return "\n".join(head + [f"| `{each.name}` | `{_flow(each.default)}` | {each.text} |" for each in values])


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def _flow(value: Any) -> str:
    if value == "":
        return '""'
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")
