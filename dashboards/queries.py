"""What the panels of a dashboard ask Prometheus, as it can be asked without Grafana. Pure; reads a dashboard's JSON."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

DURATIONS = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}
"""What Grafana puts in by itself."""
EVERYTHING = ".*"
"""Value of a variable of which all is chosen, as the dashboards have it."""


class Query(NamedTuple):
    """One query of a panel.

    Attributes:
        panel: Title of the panel.
        expression: PromQL; no variable is left in it.
        legend: Name of its series, with `{{label}}`.
        instant: Whether only the last value is asked for.
    """

    panel: str
    expression: str
    legend: str
    instant: bool


def panels(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All panels that show something, those of folded rows too."""
    for each in dashboard["panels"]:
        if each["type"] == "row":
            yield from each.get("panels") or ()
        else:
            yield each


def queries(dashboard: Mapping[str, Any], **chosen: str) -> list[Query]:
    """All queries of a dashboard.

    Args:
        dashboard: As its JSON says.
        chosen: Values of its variables, as regular expressions; all where one is not named. `__rate_interval` and kin
            may be among them.
    """
    return [
        Query(
            panel["title"],
            substituted(target["expr"], **chosen),
            target.get("legendFormat", ""),
            bool(target.get("instant")),
        )
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def substituted(expression: str, **chosen: str) -> str:
    """PromQL with values in place of variables. What only looks like one, `$1` of `label_replace`, stays."""
    values = {**DURATIONS, **chosen}
    return re.sub(r"\$([a-z_]+)", lambda found: values.get(found[1], EVERYTHING), expression)
