"""`docs/dashboards.md` has every alert and every recorded series, and the dashboards in the order in which to look."""

import json
import re
from typing import Any

import pytest
import yaml
from dashboards.__main__ import FOLDER
from dashboards.board import NAMES
from dashboards.picture.places import layout
from PIL import Image

from documenting.pages import DOCS, REPOSITORY, check_part, page

RULES = REPOSITORY / "charts" / "encoder-fleet" / "rules" / "encoder-fleet.yaml"


def rules() -> list[dict[str, Any]]:
    """All, in their order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> str:
    """The table of alerts: what each says, with names in place of labels' values."""
    rows = ["| alert | severity | after | what it says |", "|---|---|---|---|"]
    for rule in rules():
        if "alert" not in rule:
            continue
        said = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", rule["annotations"]["summary"])
        said = re.sub(r"\{\{ \$value.*? \}\}", "*N*", said)
        rows.append(f"| `{rule['alert']}` | {rule['labels']['severity']} | {rule.get('for', '0m')} | {said} |")
    return "\n".join(rows)


def test_the_page_has_every_alert() -> None:
    check_part("dashboards.md", "alerts", alerts())


def test_the_page_has_every_recorded_series() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert set(re.findall(r"`(namespace_\w+:\w+:\w+)`", page("dashboards.md"))) == recorded


def test_the_page_has_the_dashboards_in_their_order() -> None:
    listed = re.findall(r"^\| \d \| (\w+) \|", page("dashboards.md"), re.MULTILINE)
    assert listed == [name.title.partition(" / ")[2] for name in NAMES]


@pytest.mark.parametrize("name", ["fleet", "pool", "encoder", "operator"])
def test_the_page_shows_each_dashboard_as_it_is(name: str) -> None:
    """A picture from before a panel was added has another height: `python -m dashboards.picture` draws it anew."""
    (words,) = re.findall(rf"!\[([^]]+)\]\(pictures/{name}\.png\)", page("dashboards.md"))
    assert len(words.split()) >= 10
    place = layout(json.loads((FOLDER / f"{name}.json").read_text()))
    with Image.open(DOCS / "pictures" / f"{name}.png") as picture:
        assert picture.size == (place.width, place.height)
