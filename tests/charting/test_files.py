"""The chart's files agree with what they are made from, and with the page that describes them."""

import json
import re
from importlib.metadata import version
from typing import Any

import click
import pytest
import yaml

from charting.chart import CHART, REPOSITORY
from charting.values import described, leaves, table
from fleet_cli.crd import as_yaml
from fleet_operator import __main__ as program

VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEPLOYMENT = (CHART / "templates" / "deployment.yaml").read_text()
PAGE = (REPOSITORY / "docs" / "install.md").read_text()


def test_both_copies_of_the_definition_are_the_operators_own() -> None:
    made = as_yaml()
    assert (REPOSITORY / "crds" / "encoderpools.yaml").read_text() == made, "make crds"
    assert (CHART / "crds" / "encoderpools.yaml").read_text() == made, "make crds"


def test_the_chart_is_of_the_packages_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version("encoderfleet")


def test_a_pool_of_sglang_gets_the_image_that_the_operator_is_made_for() -> None:
    assert yaml.safe_load(VALUES)["sglang"]["image"] == program.SGLANG_IMAGE


@pytest.mark.parametrize("option", program.main.params, ids=lambda option: option.name)
def test_what_the_chart_takes_the_operator_takes(option: click.Option) -> None:
    """Else a value is found wrong by a pod that crashes, not by who installs it."""
    value = re.search(rf"name: {option.envvar}\n +value: {{{{ \.Values\.([\w.]+) ", DEPLOYMENT)
    if value is None:
        return  # text, or not among the chart's values
    schema = SCHEMA
    for name in value[1].split("."):
        schema = schema["properties"][name]
    if isinstance(option.type, click.FloatRange):
        assert (schema["type"], schema["minimum"], schema.get("maximum")) == (
            "number",
            option.type.min,
            option.type.max,
        )
    elif isinstance(option.type, click.Choice):
        assert schema["enum"] == list(option.type.choices)
    else:
        assert schema["type"] == "string"


def test_bounded_options_of_the_chart_were_found() -> None:
    """So that the test above holds something against something."""
    for variable in ("ENCODERFLEET_SCALING_INTERVAL", "ENCODERFLEET_LOG_LEVEL"):
        assert re.search(rf"name: {variable}\n +value: {{{{ \.Values\.", DEPLOYMENT)


def test_every_value_has_a_comment() -> None:
    names = tuple(f"{each.name}." for each in described(VALUES))
    assert [leaf for leaf in leaves(yaml.safe_load(VALUES)) if not f"{leaf}.".startswith(names)] == []


def test_the_page_has_every_value() -> None:
    there = re.search(r"^\| value \|.*?(?=\n\n)", PAGE, re.MULTILINE | re.DOTALL)
    made = table(described(VALUES))
    assert there, f"docs/install.md lacks the table of values:\n{made}"
    assert there[0] == made, f"docs/install.md shall have:\n{made}"


def test_the_schema_knows_each_value_and_no_other() -> None:
    values = yaml.safe_load(VALUES)
    compared = _compare(SCHEMA, values, "")
    assert compared == []


def _compare(schema: Any, values: Any, path: str) -> list[str]:
    """Objects that are the chart's own have exactly its keys, each required: one that is null is missed at once."""
    if not isinstance(values, dict) or "properties" not in schema or path in ("resources", "affinity"):
        return []
    wrong = [] if schema.get("additionalProperties") is False else [f"{path}: takes any key"]
    names = set(schema["properties"]) - {"global"}
    wrong += [f"{path}: {name} is not in both" for name in sorted(names ^ set(values))]
    wrong += [f"{path}: {name} is not required" for name in sorted(set(values) - set(schema.get("required", ())))]
    for name in names & set(values):
        wrong += _compare(schema["properties"][name], values[name], f"{path}.{name}".lstrip("."))
    return wrong
