"""All that a dashboard asks, answered."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dashboards.picture.asking import Prometheus
from dashboards.picture.series import Series
from dashboards.picture.variables import choices, first
from dashboards.picture.window import Window
from dashboards.queries import panels, substituted


class Answers(NamedTuple):
    """What a dashboard shows.

    Attributes:
        chosen: Values of variables; all where one is not named.
        shown: The time.
        panels: Of each panel, by its title, an answer to each of its queries.
    """

    chosen: dict[str, str]
    shown: Window
    panels: dict[str, list[list[Series]]]


def answers(server: Prometheus, dashboard: Mapping[str, Any], shown: Window, wanted: Mapping[str, str]) -> Answers:
    """Ask all queries of a dashboard.

    Args:
        server: That is asked.
        dashboard: As its JSON says.
        shown: The time.
        wanted: Values of variables; of those that must have one and are not named, the first is taken, as in Grafana.

    Raises:
        AskingError: There is no answer.
    """
    chosen = dict(wanted)
    for each in choices(dashboard):
        if each.name not in chosen:
            chosen[each.name] = first(server.values(each.label, each.asked(chosen), shown))
    found = {}
    for panel in panels(dashboard):
        expressions = [
            (substituted(target["expr"], **chosen, **shown.durations), bool(target.get("instant")))
            for target in panel["targets"]
        ]
        found[panel["title"]] = [
            server.at(expression, shown.end) if instant else server.over_time(expression, shown)
            for expression, instant in expressions
        ]
    return Answers(chosen, shown, found)
