"""What is chosen at the top of a dashboard, as far as it narrows its queries. Pure; reads the dashboard's JSON."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dashboards.queries import EVERYTHING, substituted


class Choice(NamedTuple):
    """A variable of which exactly one value is chosen, and where its values are.

    Attributes:
        name: Of the variable.
        series: A selector, in PromQL; other variables are in it.
        label: Its values are the variable's.
    """

    name: str
    series: str
    label: str

    def asked(self, chosen: Mapping[str, str]) -> str:
        """The selector, with what is chosen of the others in it."""
        return substituted(self.series, **chosen)


def choices(dashboard: Mapping[str, Any]) -> list[Choice]:
    """Variables that have no "All", in the order in which one narrows the next."""
    found = []
    for each in dashboard["templating"]["list"]:
        if each["type"] != "query" or each.get("includeAll"):
            continue
        query = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]["query"])
        if query is None:
            raise ValueError(f"variable {each['name']}: not label_values(series, label): {each['query']['query']}")
        found.append(Choice(each["name"], query[1], query[2]))
    return found


def first(values: Iterable[str]) -> str:
    """The value that Grafana chooses by itself; empty where there is none."""
    return min(values, key=_natural, default="")


def shown(dashboard: Mapping[str, Any], chosen: Mapping[str, str]) -> list[tuple[str, str]]:
    """Label and value of each variable that the dashboard shows."""
    return [
        (each["label"], "All" if chosen.get(each["name"], EVERYTHING) == EVERYTHING else chosen[each["name"]])
        for each in dashboard["templating"]["list"]
        if each["type"] == "query" and each.get("hide", 0) == 0
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
