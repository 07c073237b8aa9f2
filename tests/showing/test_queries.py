"""Every query of every panel, and every rule, on a real Prometheus: names and labels are there, and so is an answer."""

import json
import re
from pathlib import Path

import pytest
import yaml
from dashboards.queries import Query, queries

from documenting.test_troubleshooting import SECTIONS, TYPES
from fleet_client.protocol import Status
from operating.operator_process import until
from showing.conftest import RULES
from showing.expressions import chosen_values, family, in_legend, labels, metrics
from showing.prometheus import Prometheus

pytestmark = pytest.mark.timeout(600)
"""Whichever is first waits for the cluster, the encoders and some rounds of load."""

CHART = Path(__file__).parents[2] / "charts" / "encoder-fleet"
BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((CHART / "dashboards").glob("*.json"))}


def of_rules() -> list[Query]:
    """What the rules ask, under the name of each."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return [Query(rule.get("record") or rule["alert"], rule["expr"], "", True) for rule in rules]


ALL = {**{name: queries(board) for name, board in BOARDS.items()}, "rules": of_rules()}


@pytest.mark.parametrize("name", ALL)
def test_metrics_are_there(prometheus: Prometheus, name: str) -> None:
    families = prometheus.families()
    asked = {metric for each in ALL[name] for metric in metrics(each.expression)}
    assert asked
    assert {metric for metric in asked if family(metric, families) not in families} == set()


@pytest.mark.parametrize("name", ALL)
def test_labels_are_there(prometheus: Prometheus, name: str) -> None:
    missing = {}
    for each in ALL[name]:
        there = set().union(*(prometheus.labels(metric) for metric in metrics(each.expression)))
        made = {"pool_namespace"} if "label_replace" in each.expression else set()
        if wrong := (labels(each.expression) | in_legend(each.legend)) - there - made:
            missing[each.panel] = wrong
    assert missing == {}


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_has_an_answer(prometheus: Prometheus, name: str) -> None:
    def empty() -> list[Query]:
        return [each for each in ALL[name] if not prometheus.ask(each.expression)]

    until(lambda: not empty(), why=lambda: "\n".join(f"{each.panel}: {each.expression}" for each in empty()))


@pytest.mark.parametrize("name", BOARDS)
def test_choosing_one_pool_and_replica_leaves_an_answer(prometheus: Prometheus, name: str, pool_namespace: str) -> None:
    (pod, *_) = (each["metric"]["pod"] for each in prometheus.ask("encoder_ready"))
    chosen = {"namespace": pool_namespace, "pool": "vision", "replica": pod}
    until(lambda: all(prometheus.ask(each.expression) for each in queries(BOARDS[name], **chosen)))
    none = queries(BOARDS[name], pool="no-such-pool")
    narrowed = [each for each in none if "no-such-pool" in each.expression and "vector(0)" not in each.expression]
    assert [each.panel for each in narrowed if prometheus.ask(each.expression)] == []


@pytest.mark.parametrize("name", BOARDS)
def test_variables_have_values(prometheus: Prometheus, name: str) -> None:
    for variable in BOARDS[name]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert found
        everything = re.sub(r"\$\w+", ".*", found[1])
        assert all(each["metric"].get(found[2]) for each in prometheus.ask(everything))
        assert prometheus.ask(everything)


def test_every_rule_is_evaluated(prometheus: Prometheus) -> None:
    until(lambda: all(each["health"] == "ok" for each in prometheus.rules()))
    assert len(prometheus.rules()) == len(of_rules())


def test_recorded_series_are_there(prometheus: Prometheus) -> None:
    for each in of_rules():
        if ":" in each.panel:
            until(lambda name=each.panel: prometheus.ask(name))


@pytest.mark.parametrize("name", ALL)
def test_values_that_are_asked_for_may_be(name: str) -> None:
    """A misspelt reason would find nothing, which looks like good news."""
    for each in ALL[name]:
        if "encoder_rejected_items_total" in each.expression:
            assert chosen_values(each.expression, "reason") <= {status.value.lower() for status in Status}
        if "encoderfleet_pool_condition" in each.expression:
            assert chosen_values(each.expression, "reason") <= set(SECTIONS)
            assert chosen_values(each.expression, "condition") <= set(TYPES)
        assert chosen_values(each.expression, "stage") <= {"fetch", "inspect"}
