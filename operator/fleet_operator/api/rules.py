"""Rules over several fields, in CEL: what the cluster's API server checks where a schema cannot.

Each stands beside the Python validator of the same rule, on the class that it is about.
"""

from typing import Any

A_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
"""For a list whose entries differ: the API server refuses a second one that is the same."""
BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""For a list whose entries are told apart, and merged by server-side apply, by their names."""


def rules(*found: tuple[str, str] | tuple[str, str, str]) -> dict[str, Any]:
    """For `json_schema_extra`: CEL expressions over `self`, what to do where one is false, and which field it is about.

    Args:
        found: Expression, message, and the field's name below `self` where it is not `self` itself.
    """
    return {"x-kubernetes-validations": [_rule(*each) for each in found]}


def _rule(rule: str, message: str, field: str | None = None) -> dict[str, str]:
    made = {"rule": rule, "message": message}
    return made if field is None else {**made, "fieldPath": f".{field}"}
