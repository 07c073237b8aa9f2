"""The rules, by the real promtool: they are valid, and each alert fires when it shall and not when it shall not."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboards.board import NAMES

from documenting.test_links import anchors
from documenting.test_troubleshooting import SECTIONS

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RULES = REPOSITORY / "charts" / "encoder-fleet" / "rules" / "encoder-fleet.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
NAMED = [rule["alert"] for rule in ALERTS]


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_file() -> None:
    promtool("check", "rules", RULES)


@pytest.mark.parametrize("group", [group["name"].removeprefix("encoder-fleet.") for group in GROUPS])
def test_rules_do_what_they_shall(group: str) -> None:
    promtool("test", "rules", HERE / f"{group}.yaml")


def expectations(alert: str) -> list[bool]:
    """Of each look at an alert in the tests: whether it shall fire."""
    found = []
    for file in HERE.glob("*.yaml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            asked = test.get("promql_expr_test", ())
            found += [bool(each["exp_samples"]) for each in asked if re.search(rf"\b{alert}\b", each["expr"])]
            found += [
                bool(each["exp_alerts"]) for each in test.get("alert_rule_test", ()) if each["alertname"] == alert
            ]
    return found


@pytest.mark.parametrize("alert", NAMED)
def test_each_alert_is_seen_to_fire_and_not_to_fire(alert: str) -> None:
    assert set(expectations(alert)) == {True, False}


@pytest.mark.parametrize("alert", ALERTS, ids=NAMED)
def test_an_alert_says_what_to_do_and_where_to_look(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    assert set(said) == {"summary", "description", "runbook", "dashboard"}
    assert len(said["description"].split()) >= 15
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    page, _, anchor = said["runbook"].partition("#")
    there = anchors(REPOSITORY / page)
    if anchor == "{{ $labels.reason | toLower }}":
        assert {section.lower() for section in SECTIONS} <= there
    else:
        assert anchor in there
    assert said["dashboard"].partition("?")[0] in {f"/d/{each.uid}" for each in NAMES}


def test_no_two_rules_have_the_same_name() -> None:
    names = [rule.get("alert") or rule["record"] for group in GROUPS for rule in group["rules"]]
    assert len(set(names)) == len(names)
