"""Finding one's way in the classes of an EncoderPool, by the names that a pool file uses."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Location = tuple[int | str, ...]
"""Steps from the document to a field: names, and positions in lists."""

Part = type[BaseModel]


def named_fields(part: Part) -> dict[str, FieldInfo]:
    """Fields of one section by their names in a file."""
    return {field.alias or name: field for name, field in part.model_fields.items()}


def section(field: FieldInfo) -> Part | None:
    """Class of a field that is a section, or whose entries are; None for any other."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def field_at(root: Part, location: Location) -> FieldInfo | None:
    """The field that a location leads to; for an entry of a list, the list."""
    part: Part | None = root
    field = None
    for step in location:
        if isinstance(step, str):
            field = named_fields(part).get(step) if part else None
            part = section(field) if field else None
    return field


def section_at(root: Part, location: Location) -> Part | None:
    """Class of the section that a location leads to."""
    if not location:
        return root
    field = field_at(root, location)
    return section(field) if field else None


def choices(field: FieldInfo) -> list[str]:
    """The words that a field, or the entries of its list, must be one of."""
    todo: list[Any] = [field.annotation]
    words: list[str] = []
    while todo:
        for argument in get_args(todo.pop()):
            (words if isinstance(argument, str) else todo).append(argument)
    return words


def walk(root: Part, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Path and field of everything below `root`, a section before what is in it."""
    for name, field in named_fields(root).items():
        path = f"{prefix}{name}"
        yield path, field
        part = section(field)
        if part is not None:
            entries = "[]" if get_origin(field.annotation) is tuple else ""
            yield from walk(part, f"{path}{entries}.")
