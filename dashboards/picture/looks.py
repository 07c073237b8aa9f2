"""How a value is shown: its words and its colour, by the thresholds and mappings of a field. Pure."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from dashboards.picture.units import written

PLAIN = "text"
"""The colour of what is neither good nor bad."""


class Look(NamedTuple):
    """A value as it is seen.

    Attributes:
        text: In its unit, or the word that stands for it.
        colour: As Grafana calls it.
    """

    text: str
    colour: str


def look(value: float, field: Mapping[str, Any]) -> Look:
    """A value by `fieldConfig.defaults`, or what an override makes of them."""
    for mapping in field.get("mappings") or ():
        for key, result in mapping["options"].items():
            if float(key) == value:
                return Look(result["text"], result["color"])
    if math.isnan(value):
        return Look("NaN", PLAIN)
    return Look(written(value, field["unit"]), threshold(value, field))


def threshold(value: float, field: Mapping[str, Any]) -> str:
    """The colour of the last step that a value reaches."""
    colour = PLAIN
    for step in field.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return colour


def words(field: Mapping[str, Any]) -> list[Look]:
    """All words that stand for values, in their order."""
    results = [result for mapping in field.get("mappings") or () for result in mapping["options"].values()]
    return [Look(each["text"], each["color"]) for each in sorted(results, key=lambda each: each["index"])]


def overridden(panel: Mapping[str, Any], column: str) -> dict[str, Any]:
    """The field of a table's column: the panel's own, and what is said of the column by its name."""
    field = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"].get("overrides") or ():
        if override["matcher"] == {"id": "byName", "options": column}:
            field |= {each["id"]: each["value"] for each in override["properties"]}
    return field
