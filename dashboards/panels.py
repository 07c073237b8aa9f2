"""Panels as all dashboards have them: legends, colours and sizes are said here once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.variables import DATASOURCE

WIDTH = 24
"""Of a dashboard, in columns."""
GOOD, FAIR, BAD, PLAIN = "green", "orange", "red", "text"


class Line(NamedTuple):
    """One query of a panel.

    Attributes:
        expr: PromQL, with the dashboard's variables.
        legend: Name of each of its series, `{{label}}` being the value of a label; in a table, of its column.
    """

    expr: str
    legend: str


def graph(
    title: str,
    description: str,
    unit: str,
    *lines: Line,
    span: int = 12,
    stacked: bool = False,
    least: float | None = 0,
    most: float | None = None,
    link: tuple[str, str] | None = None,
) -> timeseries.Panel:
    """Values over time.

    Args:
        title: Of the panel.
        description: What it means, and what to do where it looks bad.
        unit: Of Grafana.
        lines: Queries.
        span: Columns.
        stacked: Series on top of each other.
        least: Where the axis begins; where the values do, if None.
        most: Where the axis ends; where the values do, if None.
        link: From a series: text and address.
    """
    legend = common.VizLegendOptions().display_mode(options.LegendDisplayMode.TABLE).show_legend(True)
    legend.placement(options.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"]).sort_by("Max").sort_desc(True)
    made = timeseries.Panel().title(title).description(description).unit(unit).datasource(DATASOURCE)
    made.span(span).height(8).legend(legend)
    made.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    made.line_width(1).show_points(options.VisibilityMode.NEVER).fill_opacity(40 if stacked else 8)
    if stacked:
        made.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    if least is not None:
        made.min(least)
    if most is not None:
        made.max(most)
    if link is not None:
        made.data_links([DashboardLink(link[0]).type(models.DashboardLinkType.LINK).url(link[1])])
    for each in _targets(lines):
        made.with_target(each.range())
    return made


def number(
    title: str,
    description: str,
    unit: str,
    *lines: Line,
    span: int = 4,
    steps: Mapping[float, str] | None = None,
    words: Mapping[int, tuple[str, str]] | None = None,
    names: bool = False,
) -> stat.Panel:
    """What is so now, large.

    Args:
        title: Of the panel.
        description: What it means, and what to do where it looks bad.
        unit: Of Grafana.
        lines: Queries.
        span: Columns.
        steps: Colour from each value on; below the first it is that of a good one.
        words: In place of values: text and colour.
        names: Also the legend of each.
    """
    mode = options.BigValueTextMode.VALUE_AND_NAME if names else options.BigValueTextMode.VALUE
    made = stat.Panel().title(title).description(description).unit(unit).datasource(DATASOURCE).span(span).height(4)
    made.text_mode(mode).graph_mode(options.BigValueGraphMode.NONE).no_value("none")
    made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    made.color_mode(options.BigValueColorMode.VALUE)
    made.thresholds(_thresholds(steps, PLAIN if steps is None else GOOD))
    if words is not None:
        made.mappings([_words(words)])
    for each in _targets(lines):
        made.with_target(each.instant())
    return made


def listing(
    title: str,
    description: str,
    *lines: Line,
    span: int = WIDTH,
    height: int = 8,
    columns: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
    steps: Mapping[str, Mapping[float, str]] | None = None,
    links: Mapping[str, tuple[str, str]] | None = None,
    empty: str = "none",
) -> table.Panel:
    """A table of what is so now, a row for each set of labels; queries with the same labels share their rows.

    Args:
        title: Of the panel.
        description: What it means, and what to do where it looks bad.
        lines: Queries; each is a column, named as its legend; an empty legend leaves its values out.
        span: Columns of the dashboard.
        height: In Grafana's units.
        columns: Labels, in the order in which they come first.
        units: Of columns; plain numbers where nothing is said.
        steps: Colour of a column's cells from each value on.
        links: From a label's column: text and address.
        empty: What is shown where there is no row.
    """
    made = table.Panel().title(title).description(description).datasource(DATASOURCE).span(span).height(height)
    made.unit("short").no_value(empty)
    values = {f"Value #{_ref(index)}" if len(lines) > 1 else "Value": each.legend for index, each in enumerate(lines)}
    arranged = {
        "excludeByName": {"Time": True, **{value: True for value, legend in values.items() if not legend}},
        "indexByName": {name: index for index, name in enumerate((*columns, *values))},
        "renameByName": {**{each: _heading(each) for each in columns}, **{k: v for k, v in values.items() if v}},
    }
    made.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    made.with_transformation(models.DataTransformerConfig(id_val="organize", options=arranged))
    for column, unit in (units or {}).items():
        made.override_by_name(column, [models.DynamicConfigValue("unit", unit)])
    for column, levels in (steps or {}).items():
        coloured = models.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})
        made.override_by_name(
            column, [coloured, models.DynamicConfigValue("thresholds", _thresholds(levels, GOOD).build())]
        )
    for label, (text, url) in (links or {}).items():
        made.override_by_name(_heading(label), [models.DynamicConfigValue("links", [{"title": text, "url": url}])])
    for each in _targets(Line(line.expr, "") for line in lines):  # a column is named where it is arranged
        made.with_target(each.instant().format(PromQueryFormat.TABLE))
    return made


def states(
    title: str, description: str, line: Line, words: Mapping[int, tuple[str, str]], *, span: int = 12
) -> statetimeline.Panel:
    """How something stood over time, a bar for each series.

    Args:
        title: Of the panel.
        description: What it means, and what to do where it looks bad.
        line: The query.
        words: Text and colour of each value.
        span: Columns.
    """
    made = statetimeline.Panel().title(title).description(description).unit("none").datasource(DATASOURCE)
    made.span(span).height(8).mappings([_words(words)]).show_value(options.VisibilityMode.NEVER).merge_values(True)
    made.legend(common.VizLegendOptions().display_mode(options.LegendDisplayMode.LIST).show_legend(True))
    for each in _targets([line]):
        made.with_target(each.range())
    return made


def _targets(lines: Iterable[Line]) -> list[Dataquery]:
    return [
        Dataquery().expr(each.expr).legend_format(each.legend).ref_id(_ref(index)).datasource(DATASOURCE)
        for index, each in enumerate(lines)
    ]


def _ref(index: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]


def _heading(label: str) -> str:
    return {"pool_namespace": "namespace"}.get(label, label).capitalize()


def _thresholds(steps: Mapping[float, str] | None, first: str) -> Any:
    levels = [models.Threshold(None, first), *(models.Threshold(at, colour) for at, colour in (steps or {}).items())]
    return ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(levels)


def _words(words: Mapping[int, tuple[str, str]]) -> models.ValueMap:
    shown = {
        str(value): models.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(words.items())
    }
    return models.ValueMap(options=shown)
