"""Rules over several fields, in CEL: what the cluster's API server checks where a schema cannot.

Each stands beside the Python validator of the same rule, on the class that it is about.
"""

from typing import Any

A_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
"""For a list whose entries differ: the API server refuses a second one that is the same."""
BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""For a list whose entries are told apart, and merged by server-side apply, by their names."""


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """For `json_schema_extra`: pairs of a CEL expression over `self`, and what to do where it is false."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}
