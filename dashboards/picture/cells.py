"""The cells of a table, as Grafana's transformations `merge` and `organize` put answers together. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dashboards.picture.looks import look, overridden
from dashboards.picture.series import Series

Row = dict[str, str | float]


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: In it.
        colour: Behind it, as Grafana calls it; None: no colour.
    """

    text: str
    colour: str | None


class Column(NamedTuple):
    """A column.

    Attributes:
        heading: Above it.
        cells: Of each row.
        numbers: Whether its values are numbers, which are written to the right.
    """

    heading: str
    cells: list[Cell]
    numbers: bool


def columns(panel: Mapping[str, Any], answers: Sequence[Sequence[Series]]) -> list[Column]:
    """The table that answers to a panel's queries make; none where there is no row."""
    fields = [f"Value #{target['refId']}" if len(answers) > 1 else "Value" for target in panel["targets"]]
    rows = merged([[_row(each, field) for each in answer] for field, answer in zip(fields, answers, strict=True)])
    arranged = next(each["options"] for each in panel["transformations"] if each["id"] == "organize")
    place = arranged["indexByName"]
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if not _excluded(arranged, name)]
    names.sort(key=lambda name: place.get(name, len(place)))
    return [_column(panel, rows, name, arranged["renameByName"].get(name, name)) for name in names]


def merged(frames: Sequence[Sequence[Row]]) -> list[Row]:
    """Rows of all frames; those that agree in all fields common to the frames are one, unless another field differs."""
    filled = [frame for frame in frames if frame]
    common = set.intersection(*({name for row in frame for name in row} for frame in filled)) if filled else set()
    rows: list[Row] = []
    for frame in filled:
        for row in frame:
            for other in rows:
                same = all(other.get(name) == row.get(name) for name in common)
                if same and all(other[name] == row[name] for name in other.keys() & row.keys()):
                    other.update(row)
                    break
            else:
                rows.append(dict(row))
    return rows


def _row(series: Series, field: str) -> Row:
    return {**series.labels, field: series.last}


def _excluded(arranged: Mapping[str, Any], name: str) -> bool:
    return bool(arranged["excludeByName"].get(name))


def _column(panel: Mapping[str, Any], rows: Sequence[Row], name: str, heading: str) -> Column:
    field = overridden(panel, heading)
    coloured = field.get("custom.cellOptions", {}).get("type") == "color-background"
    cells = []
    for row in rows:
        value = row.get(name, "")
        if isinstance(value, str):
            cells.append(Cell(value, None))
        else:
            seen = look(value, field)
            cells.append(Cell(seen.text, seen.colour if coloured else None))
    return Column(heading, cells, any(isinstance(row.get(name), float) for row in rows))
