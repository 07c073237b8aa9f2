"""YAML as the Kubernetes API server takes it: a field given twice is an error."""

from collections.abc import Hashable
from typing import Any

import yaml


class YamlError(Exception):
    """Not YAML, or not as strict as wanted.

    Attributes:
        place: `line 3, column 5`.
        message: What is wrong there.
    """

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class _Loader(yaml.SafeLoader):
    """Plain values only, as SafeLoader has them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        own = {key: value for key, value in node.value if key.tag != "tag:yaml.org,2002:merge"}
        seen = set()
        for key in own:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "a field's name must be text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_documents(text: str) -> list[Any]:
    """All documents of a YAML text, as dicts, lists and plain values.

    Raises:
        YamlError: With the place.
    """
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"line {line}", f"character {error.character:#04x} is not allowed in YAML") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        raise YamlError(place, " ".join(filter(None, (error.context, error.problem)))) from error
    except (ValueError, RecursionError) as error:
        raise YamlError("the file", f"is not YAML that can be read: {error}") from error
