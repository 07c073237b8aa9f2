"""What is wrong with a pool file, in words that say what to write instead."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fleet_operator.api.model import WHOLE_SECTION
from fleet_operator.api.schema import Location, choices, field_at, named_fields, section_at, walk

_FORMS = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of fields",
    "model_type": "must be a mapping of fields",
}
_SHOWN = 60
_OF_A_KEY = "[key]"
"""Last step to what is wrong with the key of a mapping, after the key itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to change.

    Attributes:
        path: Where: a field as in `spec.media.maxBytes`, a line of the file, or the file.
        message: What is expected there.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class PoolError(Exception):
    """The pool file cannot be used. Its text has one line a problem, all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def problems_of(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """One problem for each error that pydantic found in a document of class `root`."""
    return [_problem(details, root) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, root: type[BaseModel]) -> Problem:
    location = details["loc"] if details["type"] == "extra_forbidden" else _as_written(root, details["loc"])
    if details["type"] == WHOLE_SECTION:
        location = location[:-1]
    if location and location[-1] == _OF_A_KEY:
        return Problem(_path(location[:-2]), f"each key {_message(details, root)}")
    return Problem(_path(location) or "the document", _message(details, root))


def _as_written(root: type[BaseModel], location: Location) -> Location:
    """With the names that a file uses: of a default that is wrong pydantic gives the name in Python."""
    names = {
        name: field.alias or name for name, field in (section_at(root, location[:-1]) or root).model_fields.items()
    }
    return (*location[:-1], names.get(str(location[-1]), location[-1])) if location else location


def _path(location: Location) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def _message(details: ErrorDetails, root: type[BaseModel]) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    match kind:
        case "missing":
            field = field_at(root, details["loc"])
            return f"is missing. {field.description if field else ''}".rstrip()
        case "extra_forbidden":
            return _unknown(root, details["loc"])
        case "literal_error":
            field = field_at(root, details["loc"])
            return _not_one_of(choices(field) if field else [], value)
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"must be at least {context['ge']}, got {value}"
        case "less_than_equal":
            return f"must be at most {context['le']}, got {value}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters, got {len(value)}"
        case "too_long":
            return f"must have at most {context['max_length']} entries, got {len(value)}"
    if kind not in _FORMS:
        return details["msg"]
    return f"{_FORMS[kind]}, got {_show(value)}{_about_quotes(kind, value)}"


def _about_quotes(kind: str, value: Any) -> str:
    if kind == "string_type" and not isinstance(value, dict | list):
        return ": put it in quotes"
    if kind == "int_type" and isinstance(value, str) and value.isdecimal():
        return ": leave the quotes out"
    return ""


def _show(value: Any) -> str:
    """A value of the file, in YAML's words and bounded: aliases can make a small file enormous."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...", ensure_ascii=False)
    return str(value)[:_SHOWN]


def _not_one_of(words: Sequence[str], value: Any) -> str:
    if value is False and "Off" in words:
        return f'must be {_any_of(words)}: put quotes around "Off", which YAML reads as false'
    hint = _did_you_mean(_similar(value, words)) if isinstance(value, str) and len(words) > 1 else ""
    return f"must be {_any_of(words)}, got {_show(value)}{hint}"


def _any_of(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _did_you_mean(suggestion: str | None) -> str:
    return "" if suggestion is None else f"; did you mean {suggestion}?"


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _similar(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` may stand for: in other letters' case, as snake_case, or with a slip."""
    plain = {_plain(each): each for each in known}
    close = get_close_matches(_plain(name), plain, n=1, cutoff=0.7)
    return plain[close[0]] if close else None


def _unknown(root: type[BaseModel], location: Location) -> str:
    """A field that is not there: a slip of one beside it, or one that belongs into another section."""
    name = str(location[-1])
    part = section_at(root, location[:-1])
    siblings = list(named_fields(part)) if part else []
    suggestion = _similar(name, siblings)
    if suggestion is None:
        elsewhere = (path for path, _ in walk(root) if _plain(path.rpartition(".")[2]) == _plain(name))
        suggestion = next(elsewhere, None)
    if suggestion is None:
        return f"is not a field; there are {', '.join(siblings)}"
    return f"is not a field{_did_you_mean(suggestion)}"
