"""A dashboard around its rows of panels: name, variables, links to the others."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.variables import add_variables

TAG = "encoderfleet"


class Name(NamedTuple):
    """How a dashboard is called; the order of `NAMES` is that in which to look.

    Attributes:
        uid: In addresses; never changes.
        title: In lists.
        answers: What it is for, as a tooltip.
    """

    uid: str
    title: str
    answers: str


FLEET = Name("encoderfleet-fleet", "encoderfleet / Fleet", "Which pool is in trouble?")
POOL = Name("encoderfleet-pool", "encoderfleet / Pool", "What is wrong with this pool, and with which replica?")
ENCODER = Name("encoderfleet-encoder", "encoderfleet / Encoder", "Where does the time go in this replica?")
OPERATOR = Name("encoderfleet-operator", "encoderfleet / Operator", "Does the operator do its work?")
NAMES = (FLEET, POOL, ENCODER, OPERATOR)


class Section(NamedTuple):
    """A row: its title, and panels that are laid out from left to right.

    Attributes:
        title: Of the row.
        panels: Of it.
    """

    title: str
    panels: Sequence[Builder[models.Panel]]


def board(
    name: Name,
    description: str,
    sections: Sequence[Section],
    *,
    shown: Collection[str],
    one: Collection[str] = (),
    encoders: bool = False,
) -> models.Dashboard:
    """A whole dashboard.

    Args:
        name: Of it.
        description: What it is for, in a sentence or two.
        sections: Its rows.
        shown: As `add_variables` takes it; so are `one` and `encoders`.
        one: See there.
        encoders: See there.
    """
    made = Dashboard(name.title).uid(name.uid).description(description).tags([TAG])
    made.time("now-3h", "now").refresh("30s").timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR)
    made.editable()
    add_variables(made, shown=shown, one=one, encoders=encoders)
    for other in NAMES:
        if other != name:
            made.link(_link(other))
    for section in sections:
        made.with_row(Row(section.title))
        for panel in section.panels:
            made.with_panel(panel)
    built = made.build()
    for number, each in enumerate(built.panels or (), start=1):
        each.id_val = number
    return built


def as_json(built: models.Dashboard) -> str:
    """As Grafana reads it, one field a line."""
    return JSONEncoder(indent=2, sort_keys=True).encode(built) + "\n"


def address(name: Name, keep: Sequence[str] = (), **chosen: str) -> str:
    """A link from a value to another dashboard; time, data source and variables to `keep` stay, others are chosen."""
    kept = [f"${{{variable}:queryparam}}" for variable in ("datasource", *keep)]
    fields = [f"var-{variable}={value}" for variable, value in chosen.items()]
    return f"/d/{name.uid}?{'&'.join(['${__url_time_range}', *kept, *fields])}"


def _link(other: Name) -> Any:
    return (
        DashboardLink(other.title.partition(" / ")[2])
        .type(models.DashboardLinkType.LINK)
        .url(f"/d/{other.uid}")
        .tooltip(other.answers)
        .icon("dashboard")
        .include_vars(True)
        .keep_time(True)
    )
